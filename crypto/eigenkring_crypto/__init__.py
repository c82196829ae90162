"""Eigenkring's cryptographic suite, on `cryptography` and the standard library and nothing of ours. Spec: docs/spec/seal.md.

- `seal`, `pad`: sealed records; `box`: sealing to one device; `sign`, `curve`: signatures
- `kdf`: labels, hashes, derived keys; `device`: a device's keys; `capability`, `chain`: streams
- `words`: words to compare and the code on paper; `errors`: their codes
"""
