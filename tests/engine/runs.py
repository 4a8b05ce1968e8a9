"""Runs of a second: one weight, and ten numbers that it follows."""

import os

import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ccmim.engine import ResumableEpochLoop


class Line(torch.nn.Module):
    """One weight, pulled towards each number of the data."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def train_step(self, data, optim_wrapper):
        loss = (self.weight - data).square().mean()
        optim_wrapper.update_params(loss)
        return dict(loss=loss)

    def val_step(self, data):
        return [data]


def line_run(folder, epochs, accumulated, hooks, **options):
    """Build a run of epochs of five steps."""
    return Runner(
        Line(),
        str(folder),
        train_dataloader=DataLoader(torch.arange(10.0) / 10, batch_size=2),
        train_cfg=dict(type=ResumableEpochLoop, max_epochs=epochs),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.1), accumulative_counts=accumulated
        ),
        default_hooks=hooks,
        experiment_name=os.urandom(4).hex(),
        **options,
    )
