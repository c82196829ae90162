"""Eigenkring: one case as an end-to-end encrypted document that a family owns.

Where a rule lives:

==================  ==================================================================================
``charter``         who belongs and who may: entries (``entry``), the fold (``rules``, ``deeds``, ``locks``),
                    the state it gives (``state``), making entries (``compose``)
``rooms``, ``keys``   secrets of audiences, and the boxes in which they travel
``link``, ``doorstep``  invitations: what a link holds, knocking, being let in
``change``, ``part``    what a change may be (``part.door``), which changes count (``part.fold``)
``document``        what a person does, as changes; the document read back
``schema``          which parts and fields there are (``content.json``)
``view``, ``grant``   what a professional is shown, and with which keys
``stream``, ``wire``  a stream as a device sees it, frames as the relay sees them
``session``         one case on one device, without I/O: taking in, acting, duties
``sync``, ``visiting``, ``receiving``  the conversations with a relay
``library``, ``case``   what programs use; ``cli`` is a thin layer over it
``crdt``            the only module that touches Automerge
==================  ==================================================================================

This file imports nothing: the relay loads ``eigenkring.wire`` and ``eigenkring.errors`` and must not load the rest.
"""
