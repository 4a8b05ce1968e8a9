"""Precision, parameter groups and learning rates."""
