"""A part: one Automerge document in one stream. Spec: docs/spec/part.md.

- ``door``: which changes may reach the engine (docs/spec/change.md)
- ``fold``: which changes count, in the order of the stream; ``rights``: what it asks of the charter, cuts among it
- ``attestation``, ``coverage``: what an author signs, and which changes that signature reaches
- ``record``, ``snapshot``: what lies in the stream; ``author``, ``again``: own changes, and making them anew
- ``ledger``, ``shown``, ``history``, ``cache``: what was admitted, the document, who wrote what, what is kept
"""
