"""Stopping on signals, and detecting interrupted runs."""
