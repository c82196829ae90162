"""Eigenkring's cryptographic suite. Imports `cryptography` and the standard library, and nothing else of ours."""
