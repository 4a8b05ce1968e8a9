"""Steps that log nothing make no host read, and the log is that of mmengine."""

import json

import pytest
import torch
from mmengine.hooks import Hook
from torch.utils._python_dispatch import TorchDispatchMode

from ccmim.engine.launch import build_runner
from ccmim.registry import HOOKS

MEASURED = ('time', 'data_time', 'images_per_second', 'loader_ratio', 'memory')


class _CountReads(TorchDispatchMode):
    """Counts how often the value of a tensor goes to Python (item, float, bool)."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.reads += 'local_scalar_dense' in str(func) or 'nonzero' in str(func)
        return func(*args, **(kwargs or {}))


@HOOKS.register_module(force=True)
class CountReadsHook(Hook):
    """Counts the host reads of each step, the hooks after it included."""

    priority = 0  # before all

    def __init__(self):
        self.reads = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._mode = _CountReads()
        self._mode.__enter__()

    def stop(self):
        self._mode.__exit__(None, None, None)
        self.reads.append(self._mode.reads)


@HOOKS.register_module(force=True)
class StopCountingHook(Hook):
    """Ends the counting, after all other hooks of a step."""

    priority = 100

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        _counter(runner).stop()


@pytest.fixture
def run(tiny_run, tmp_path):
    def run(name, hook, interval, counted=False):
        changes = {
            'train_cfg.max_epochs': 2,
            'optim_wrapper.clip_grad': dict(max_norm=1.0),
            'default_hooks.runtime_info.type': hook,
            'default_hooks.logger.interval': interval,
            'default_hooks.checkpoint.interval': 2,
        }
        cfg = tiny_run('ccmim_vitb', name, changes)
        if counted:
            cfg.custom_hooks += [dict(type='CountReadsHook')]
            cfg.custom_hooks += [dict(type='StopCountingHook')]
        runner = build_runner(cfg)
        runner.train()
        (log,) = (tmp_path / name).glob('*/vis_data/scalars.json')
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            for key in MEASURED:
                line.pop(key, None)
        return runner, lines

    return run


@pytest.mark.parametrize('interval', [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_log_is_that_of_mmengine(run, interval):
    _, ours = run('ours', 'ccmim.DeferredRuntimeInfoHook', interval)
    _, theirs = run('theirs', 'mmengine.RuntimeInfoHook', interval)
    assert len(ours) == {1: 8, 3: 2}[interval]
    for a, b in zip(ours, theirs, strict=True):
        assert a.pop('grad_norm') > 0
        assert b.pop('grad_norm', None) is None  # mmengine's wrapper would log it
        assert a == b


def test_only_logging_steps_read_from_the_device(run, monkeypatch):
    lists, tolist = [], torch.Tensor.tolist
    counted = lambda x: (lists.append(len(x)), tolist(x))[1]  # noqa: E731
    monkeypatch.setattr(torch.Tensor, 'tolist', counted)
    hook = _counter(run('ours', 'ccmim.DeferredRuntimeInfoHook', 3, counted=True)[0])
    assert hook.reads == [0] * 8
    # Epochs of four steps, six values each: the third logs, the last ends the epoch.
    assert lists == [18, 6, 18, 6]


def _counter(runner):
    return next(h for h in runner.hooks if isinstance(h, CountReadsHook))
