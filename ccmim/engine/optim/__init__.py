"""Optimization: autocast, parameter groups with layer decay, and schedules."""
