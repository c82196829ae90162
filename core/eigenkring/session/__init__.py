"""One case on one device, as rules without I/O: opened records come in, operations to send go out.

- ``case``, ``parts``, ``kept``: what is known (charter, secrets, parts), loaded from the store
- ``taking``: what to read, and taking in what was read; ``boxes``: the own keys among it
- ``astray``: a stream that does not follow from what is known
- ``acting``: a charter act as one atomic exchange; ``stuck``: with locks that do not turn; ``asks``: with a majority
- ``duties``: what this device owes the others now: letting in who knocked, turning rooms
- ``doors``, ``own_door``, ``comparing``: who stands at a doorstep
- ``publishing``: views; ``compacting``: snapshots

The conversations that need a relay are above it: ``eigenkring.sync``, ``visiting`` and ``receiving``.
"""
