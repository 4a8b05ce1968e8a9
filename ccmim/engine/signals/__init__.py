"""Stopping a run, and noticing that one was stopped."""
