"""Short trainings for ``tools/soak.py``."""
