"""A part: one Automerge document in one stream. ``door`` says which changes may reach the engine."""
