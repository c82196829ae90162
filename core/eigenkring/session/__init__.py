"""One case on one device, as rules without I/O: opened records come in, operations to send go out.

- ``case``: what is known (charter, secrets, parts), loaded from the store
- ``taking``: what to read, and taking in what was read
- ``acting``: a charter act as one atomic exchange
- ``duties``: what this device owes the others now: letting in who knocked, turning rooms, publishing views
- ``visiting``: following a link, until the first keys arrive
- ``receiving``: a professional's side of a grant
"""
