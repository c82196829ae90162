"""Eigenkring's relay: it stores and forwards sealed records, and knows streams and nothing else. Spec: docs/spec/streams.md.

- ``relay``: the rules, one operation against one stream (compare-and-append is ``_append``); ``chain``: hashes
- ``exchange``: several operations together or not at all; ``group_commit``: many exchanges in one transaction
- ``store``, ``sqlite_store``, ``schema``, ``overflow``: what is kept, so that what is closed is gone from the file
- ``frames``, ``websocket``, ``app``, ``follow``, ``pwa``: from bytes to answers, pushes, and the app beside them
- ``limits``, ``logs``, ``metrics``, ``backup``, ``data_folder``, ``serve``: running it
"""
