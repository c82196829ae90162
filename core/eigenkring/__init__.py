"""Eigenkring: a family's own plan, end-to-end encrypted.

This module imports nothing: the relay imports `eigenkring.wire` and `eigenkring.errors`, and through them
this file, and may never load Automerge or `eigenkring_crypto`. What is offered here is to be loaded lazily.
"""
