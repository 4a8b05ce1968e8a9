"""The library in a notebook: list models, build one, compute features.

Imports nothing here, so that listing models stays light.
"""
