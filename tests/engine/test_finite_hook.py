"""No bad number reaches weights or checkpoints, and the first bad step is named."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ccmim.engine import (
    AutocastOptimWrapper,
    DeferredRuntimeInfoHook,
    FiniteHook,
    SafeCheckpointHook,
)

SGD = dict(type='SGD', lr=1e-3)


class Line(torch.nn.Module):
    """Two losses; one of them becomes what the data say. Notes the weight it met."""

    def __init__(self, bad_gradients=()):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.register_buffer('running_mean', torch.zeros(1))
        self.weight.register_hook(lambda g: g / 0 if self.now in bad_gradients else g)
        self.now = 0
        self.met = []

    def train_step(self, data, optim_wrapper):
        self.now += 1
        self.met.append(self.weight.item())
        self.running_mean.mul_(0.9).add_(0.1 * data)
        losses = dict(loss_a=self.weight.square().sum())
        losses['loss_b'] = (self.weight * data).sum()
        loss = sum(losses.values())
        optim_wrapper.update_params(loss)
        return dict(loss=loss, **losses, importance=torch.tensor(torch.nan))


@pytest.fixture
def train(tmp_path):
    """Train twelve steps, with a line at every fifth; what came of it."""

    def train(
        data, interval=4, bad_gradients=(), hooks=(FiniteHook,), skip=0, **optim_wrapper
    ):
        config = [dict(type=h, **{'max_skipped': skip} if skip else {}) for h in hooks]
        theirs = optim_wrapper.get('type') == 'OptimWrapper'
        ours = {} if theirs else dict(type=AutocastOptimWrapper, dtype='float32')
        safe = dict(type=SafeCheckpointHook, by_epoch=False, interval=interval)
        runner = Runner(
            Line(bad_gradients),
            str(tmp_path / 'run'),
            train_dataloader=DataLoader(torch.tensor(data), batch_size=1),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper={**ours, 'optimizer': SGD, **optim_wrapper},
            default_hooks=dict(
                runtime_info=dict(type=DeferredRuntimeInfoHook),
                logger=dict(type='LoggerHook', interval=5),
                checkpoint=safe,
            ),
            custom_hooks=config,
            experiment_name=os.urandom(4).hex(),
        )
        message = None
        try:
            runner.train()
        except FloatingPointError as error:
            message = str(error)
        files = sorted(p.stem for p in Path(runner.work_dir).glob('*.pth'))
        return message, files, runner.model

    return train


def _data(step=1, value=1.0):
    data = [1.0] * 12
    data[step - 1] = value
    return data


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize(('step', 'files'), [(7, ['iter_4']), (8, ['iter_4'])])
def test_a_bad_loss_is_named_before_it_is_saved(train, step, value, files):
    """Step 8 is saved, not logged: the checkpoint's own look finds it."""
    message, found, _ = train(_data(step, value))
    assert message.startswith(f'loss_b is not finite at step {step}; what it was')
    assert message.endswith('clipped gradients or float32')
    assert found == files


def test_without_a_checkpoint_the_next_line_finds_it(train):
    message, found, _ = train(_data(7, float('nan')), interval=100)
    assert message.startswith('loss_b is not finite at step 7')
    assert found == []


@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=1.0), dict(clip_value=1.0)])
def test_a_bad_gradient_of_a_good_loss(train, clip_grad):
    """Clipping by value would have made an infinite one finite."""
    if clip_grad and 'clip_value' in clip_grad:
        clip_grad['type'] = 'value'
    message, found, _ = train(_data(), bad_gradients=[7], clip_grad=clip_grad)
    assert message.startswith('grad_norm is not finite at step 7;')
    assert found == ['iter_4']


OPTIMIZERS = {
    'sgd': SGD,  # the host asks
    'fused': dict(type='AdamW', lr=1e-3, fused=True),  # the device decides
    'momentum': dict(type='SGD', lr=1e-3, momentum=0.9, fused=True),
}


@pytest.mark.parametrize('name', OPTIMIZERS)
@pytest.mark.parametrize('bad', [dict(data=_data(6, float('inf'))), {}])
def test_weights_stay_those_of_the_bad_step(train, name, bad):
    """All later updates are held back, until the line at step 10 ends the run."""
    message, _, model = train(
        **(bad or dict(data=_data(), bad_gradients=[6])),
        interval=100,
        optimizer=OPTIMIZERS[name],
    )
    assert 'is not finite at step 6;' in message
    assert 'The weights are those before it' in message
    assert len(model.met) == 10
    assert model.met[5:] == [model.met[5]] * 5
    assert model.weight.item() == model.met[5] < model.met[4]


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_a_skipped_step_leaves_no_trace(train, name):
    """As if the bad batch had not been there: weights, moments, running statistics."""
    options = dict(interval=100, optimizer=OPTIMIZERS[name])
    message, files, model = train(_data(6, float('nan')), skip=2, **options)
    assert message is None
    assert files == ['iter_12']
    _, _, straight = train(_data()[:11], **options)
    assert model.met[:6] + model.met[7:] == straight.met
    assert torch.equal(model.weight, straight.weight)
    assert torch.equal(model.running_mean, straight.running_mean)


def test_too_many_skipped_steps_end_the_run(train, tmp_path):
    data = _data(2, float('nan'))
    data[3] = data[6] = float('inf')
    message, files, _ = train(data, skip=2)
    assert message.startswith('loss_b is not finite at step 7')
    assert files == ['iter_4']
    (log,) = (tmp_path / 'run').glob('*/*.log')
    lines = [x for x in log.read_text().splitlines() if 'Its update is left out' in x]
    assert ['1 of at most 2' in lines[0], '2 of at most 2' in lines[1]] == [True] * 2
    assert 'WARNING - loss_b is not finite at step 2; ' in lines[0]
    names = sorted(p.name for p in (tmp_path / 'run' / 'debug').iterdir())
    assert names == ['nan_2.pt', 'nan_4.pt', 'nan_7.pt']


def test_accumulation_names_the_step_and_counts_the_update(train):
    """Cycles of four: steps 6 and 7 spoil one update, which is one skip of one."""
    data = _data(6, float('nan'))
    data[6] = float('nan')
    options = dict(interval=100, accumulative_counts=4)
    message, _, model = train(data, **options)
    assert message.startswith('loss_b is not finite at step 6;')
    assert model.weight.item() == model.met[4]
    message, files, model = train(data, skip=1, **options)
    assert message is None
    assert files == ['iter_12']
    assert len(set(model.met)) == 2  # of three updates the last came after the end
    assert model.weight.item() < model.met[-1]


def test_fp16_may_overflow_but_not_for_ever(train):
    """Two overflows are lowered scales; a bad loss and many in a row are bad."""
    options = dict(dtype='float16', interval=100)
    message, files, model = train(_data(), bad_gradients=[3, 4], **options)
    assert message is None
    assert files == ['iter_12']
    assert model.met[2] == model.met[4] > model.met[5]
    message, _, _ = train(_data(3, float('nan')), **options)
    assert message.startswith('loss_b is not finite at step 3;')
    assert 'The weights are' not in message
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('ccmim.engine.nonfinite.hook._HALVINGS', 8)
        message, _, _ = train(_data(), bad_gradients=range(13), **options)
    assert message.startswith('grad_norm is not finite at step 9;')


def test_a_bad_weight_is_not_saved(train):

    class Spoil(FiniteHook):
        priority = 50

        def after_train_iter(self, runner, *args, **kwargs):
            if runner.iter == 7:
                runner.model.weight.data.fill_(torch.inf)

        before_train = before_train_iter = before_save_checkpoint = lambda *_, **__: 0

    message, files, _ = train(_data(), hooks=(FiniteHook, Spoil))
    assert message.startswith('weight is not finite after step 8, though all losses')
    assert files == ['iter_4']


def test_another_wrapper_is_stopped_too(train):
    """mmengine's makes the update; the run still ends before it is saved."""
    message, found, model = train(_data(7, float('nan')), type='OptimWrapper', skip=9)
    assert message.startswith('loss_b is not finite at step 7;')
    assert 'The weights are' not in message
    assert found == ['iter_4']
    assert model.weight.isnan().all()
