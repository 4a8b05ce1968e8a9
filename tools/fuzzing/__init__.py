"""Files that are damaged or forged, for ``tools/fuzz.py``."""
