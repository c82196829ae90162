"""The charter: who belongs, who may. Entries as bytes (`entry`), the folded state (`state`), the rules (`rules`)."""
