"""No NaN reaches a checkpoint, and the first bad step is named."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ccmim.training import (
    AutocastOptimWrapper,
    DeferredRuntimeInfoHook,
    FiniteHook,
    SafeCheckpointHook,
)


class Line(torch.nn.Module):
    """Two losses; one of them becomes what the data say."""

    def __init__(self, bad_gradient):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        if bad_gradient:
            self.weight.register_hook(
                lambda g: g / 0 if self.now == bad_gradient else g
            )
        self.now = 0

    def train_step(self, data, optim_wrapper):
        self.now += 1
        losses = dict(
            loss_a=self.weight.square().sum(), loss_b=(self.weight * data).sum()
        )
        loss = sum(losses.values())
        optim_wrapper.update_params(loss)
        return dict(loss=loss, **losses, importance=torch.tensor(torch.nan))


@pytest.fixture
def train(tmp_path):
    """Train twelve steps, with a line at every fifth; the names of the checkpoints."""

    def train(data, interval=4, bad_gradient=0, hooks=(FiniteHook,), **optim_wrapper):
        runner = Runner(
            Line(bad_gradient),
            str(tmp_path / 'run'),
            train_dataloader=DataLoader(torch.tensor(data), batch_size=1),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(
                type=AutocastOptimWrapper,
                dtype='float32',
                optimizer=dict(type='SGD', lr=1e-3),
                **optim_wrapper,
            ),
            default_hooks=dict(
                runtime_info=dict(type=DeferredRuntimeInfoHook),
                logger=dict(type='LoggerHook', interval=5),
                checkpoint=dict(
                    type=SafeCheckpointHook, by_epoch=False, interval=interval
                ),
            ),
            custom_hooks=[dict(type=hook) for hook in hooks],
            experiment_name=os.urandom(4).hex(),
        )
        message = None
        try:
            runner.train()
        except FloatingPointError as error:
            message = str(error)
        files = sorted(p.stem for p in Path(runner.work_dir).glob('*.pth'))
        return message, files

    return train


def _data(step, value):
    data = [1.0] * 12
    data[step - 1] = value
    return data


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize(('step', 'files'), [(7, ['iter_4']), (8, ['iter_4'])])
def test_a_bad_loss_is_named_before_it_is_saved(train, step, value, files):
    """Step 8 is saved, not logged: the checkpoint's own look finds it."""
    message, found = train(_data(step, value))
    assert message.startswith(f'loss_b is not finite at step {step}; stopped before')
    assert found == files


def test_without_a_checkpoint_the_next_line_finds_it(train):
    message, found = train(_data(7, float('nan')), interval=100)
    assert message.startswith('loss_b is not finite at step 7')
    assert found == []


def test_a_bad_gradient_of_a_good_loss(train):
    """Saved right after the update: no loss has seen the weights yet."""
    message, found = train(_data(1, 1.0), bad_gradient=8)
    assert message.startswith('weight is not finite after step 8, though all losses')
    assert found == ['iter_4']


def test_a_bad_gradient_norm(train):
    message, found = train(_data(1, 1.0), bad_gradient=7, clip_grad=dict(max_norm=1.0))
    assert message.startswith('grad_norm is not finite at step 7')
    assert found == ['iter_4']


def test_good_numbers_pass(train):
    """A monitored value may be NaN: it is no loss."""
    message, found = train(_data(1, 1.0))
    assert message is None
    assert found == ['iter_12', 'iter_4', 'iter_8']


def test_mmengine_saves_nan(train):
    """The control: without the hook the run goes on to its end."""
    message, found = train(_data(3, float('nan')), hooks=())
    assert message is None
    assert len(found) == 3
