"""Losses, gradients and weights that are no numbers."""
