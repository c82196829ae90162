"""The charter: who belongs, who may. Spec: docs/spec/charter.md.

- ``entry``: entries as bytes; ``state``, ``log``: the charter they come to
- ``rules``: the table of who may make which entry, and the fold; ``majority``: what one owner cannot do alone
- ``coming``, ``deeds``: what each entry does; ``locks``: its rooms, parts, cuts and locks
- ``compose``, ``draft``, ``narrow``: making entries
"""
