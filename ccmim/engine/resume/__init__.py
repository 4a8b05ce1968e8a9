"""Exact resuming of interrupted runs."""
