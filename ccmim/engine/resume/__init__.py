"""Exact resuming of interrupted runs.

``ccmim.checkpoints.resume`` chooses the checkpoint. ``hook`` compares its settings,
state and data with the run's, ``epoch_loop`` continues within the epoch, and
``step_seed`` seeds each step. ``position`` and ``schedules`` convert for another number
of images per step.
"""
