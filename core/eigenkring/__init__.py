"""Eigenkring: one case as an end-to-end encrypted document that a family owns.

Where a rule lives (docs/README.md has a table of the rules people ask for first):

==================  ==================================================================================
``charter``         who belongs and who may: entries (``entry``), the fold (``rules``, ``deeds``, ``locks``),
                    the state it gives (``state``), making entries (``compose``)
``rooms``, ``keys``   secrets of audiences, and the boxes in which they travel
``link``, ``doorstep``  invitations: what a link holds, knocking, being let in
``change``, ``part``    what a change may be (``part.door``), which changes count (``part.fold``)
``document``        what a person does, as changes; the document read back
``schema``          which parts and fields there are (``content.json``); ``scalars``, ``columns``: their values and bytes
``view``, ``grant``   what a professional is shown, and with which keys; ``said`` what a professional says back
``paper``           a recovery code, and the space it opens
``stream``, ``wire``  a stream as a device sees it, frames as the relay sees them
``session``         one case on one device, without I/O: taking in, acting, duties
``sync``, ``visiting``  the conversations with a relay: of a case, and following a link
``receiving``, ``following``, ``answering``  the same for a professional: following, reading, saying
``giving``, ``renewing``, ``incoming``, ``receipts``  the family's side of access
``deciding``, ``waiting``  what more than one person decides, and who waits for whom
``own_devices``, ``recovery``, ``onward``  another phone, the way back, going on without somebody
``reporting``, ``report``, ``differing``  comparing, outside the relay, what it showed two devices
``exporting``, ``exported``, ``erasing``  taking a case along, and ending it
``library``, ``case``   what programs use (docs/tutorial.md), with ``editing`` and ``watching``; ``cli`` is a thin layer over it
``attachment``, ``picture``  photos and files: the field and its chunks, and what a camera writes taken out;
                    ``filing``, ``carrying``: attach and fetch, and the conversation with the relay
``store``, ``transport``  the two ports: what a device keeps (``sqlite_store``), and a relay (HTTP)
``crdt``            the only module that touches Automerge
==================  ==================================================================================

This file imports nothing: the relay loads ``eigenkring.wire`` and ``eigenkring.errors`` and must not load the rest.
"""
