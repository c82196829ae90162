"""Eigenkring's relay: it stores and forwards sealed records, and knows streams and nothing else."""
