"""Corrupted and forged files for ``tools/fuzz.py``."""
