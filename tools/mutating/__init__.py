"""Parts of tools/mutate.py."""
