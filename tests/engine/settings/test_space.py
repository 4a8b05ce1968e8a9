"""Checkpoints must fit on the disk, as far as that can be known before."""

import logging
import shutil
from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import CheckpointHook
from torch import nn

from ccmim.engine.settings import check_space
from ccmim.engine.settings.space import checkpoint_bytes, stop_at_full_disk
from ccmim.files import WriteError, drop_unwritable

Usage = namedtuple('Usage', 'total used free')


@pytest.fixture
def model():
    """Ten million values, half of them frozen."""
    model = nn.Sequential(nn.Linear(1, 5_000_000, bias=False), nn.Module())
    model[1].register_buffer('fixed', torch.zeros(5_000_000))
    return model


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """Check a run that keeps two checkpoints, with so many bytes free."""

    def run(free):
        monkeypatch.setattr(shutil, 'disk_usage', lambda _: Usage(0, 0, free))
        hook = CheckpointHook(max_keep_ckpts=2)
        check_space(SimpleNamespace(model=model, hooks=[hook], work_dir=tmp_path))

    return run


def test_a_checkpoint_is_the_model_and_two_moments_of_what_is_trained(model, tmp_path):
    assert checkpoint_bytes(model) == 4 * (10_000_000 + 2 * 5_000_000)
    optimizer = torch.optim.AdamW(model.parameters())
    model[0].weight.sum().backward()
    optimizer.step()
    state = dict(state_dict=model.state_dict(), optimizer=optimizer.state_dict())
    torch.save(state, tmp_path / 'x.pth')
    size = (tmp_path / 'x.pth').stat().st_size
    assert size == pytest.approx(checkpoint_bytes(model), rel=0.01)


def test_a_run_without_room_for_one_checkpoint_is_refused(run, tmp_path):
    message = f'a checkpoint needs 0.08 GB, and 0.079 GB are free at {tmp_path}: free'
    with pytest.raises(ValueError, match=message):
        run(79_000_000)


def test_a_run_without_room_for_all_that_are_kept_is_warned(run, capsys, tmp_path):
    """Two are kept while a third is written."""
    run(240_000_000)
    assert capsys.readouterr().out == ''
    run(239_000_000)
    text = '2 checkpoints and the one being written need 0.24 GB, and 0.24 GB are free'
    assert text in capsys.readouterr().out
    (tmp_path / 'epoch_1.pth').write_bytes(bytes(1_000_000))  # will be replaced
    run(239_000_000)
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('name', ['run.log', 'the standard output'])
def test_a_log_on_a_full_disk_ends_the_run_once(tmp_path, capsys, name):
    logger = logging.Logger('full')
    handler = logging.FileHandler(tmp_path / 'run.log')
    if name != 'run.log':
        handler = logging.StreamHandler(open(tmp_path / 'run.log', 'w'))  # noqa: SIM115
    logger.addHandler(handler)
    stop_at_full_disk()
    logger.info('good')
    full = open('/dev/full', 'w')  # noqa: SIM115
    handler.setStream(full)
    with pytest.raises(WriteError, match=f'cannot write .*{name}: No space left'):
        logger.info('lost')
    logger.info('seen elsewhere')
    drop_unwritable(full)
    full.close()
    assert 'Logging error' not in capsys.readouterr().err
    assert (tmp_path / 'run.log').read_text() == 'good\n'
