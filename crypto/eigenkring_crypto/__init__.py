"""Eigenkring's cryptographic suite, on `cryptography` and the standard library and nothing of ours."""
