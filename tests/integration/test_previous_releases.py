"""Runs that earlier releases began go on, with the losses that they had then.

``tests/golden/release_VERSION.pt`` is a checkpoint of that version after one epoch,
``release_VERSION.txt`` its losses of the next one. ``CCMIM_RECORD=1`` records both for
the current version, once when it is released.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ccmim
from ccmim.engine.launch import build_runner

GOLDEN = Path(__file__).parents[1] / 'golden'
SMALL = dict(embed_dim=8, depth=1, num_heads=2)


@pytest.fixture
def start(tiny_run, tmp_path, monkeypatch):
    """Build a run of two epochs of four steps, small enough to be kept."""
    # Every path in the checkpoint is relative, and so of no machine.
    monkeypatch.chdir(tmp_path)
    Path('pictures').mkdir()
    place = np.arange(72 * 88 * 3)
    for i in range(8):
        wave = np.sin(place * (0.011 + 0.003 * i) + (place * 0.0007) ** 2)
        pixels = (127.5 + 127 * wave).astype(np.uint8).reshape(72, 88, 3)
        Image.fromarray(pixels).save(f'pictures/{i}.png')

    def start(folder, resume=False):
        changes = {
            'work_dir': folder,
            'model.backbone.arch': dict(SMALL, _delete_=True),
            **{f'model.decoder.{key}': 8 for key in ('in_dim', 'embed_dim')},
            **{f'model.contrast.{key}': 8 for key in ('in_dim', 'out_dim')},
            'model.decoder.img_size': 64,
            'train_dataloader.dataset.transform.0.size': 64,
            'train_dataloader.dataset.data': 'pictures',
            'train_cfg.max_epochs': 2,
            'optim_wrapper.dtype': 'float32',
            # The full rate in the second epoch, by the schedule of 800 epochs.
            'param_scheduler.0.end': 1,
            'param_scheduler.1.begin': 40,
            'param_scheduler.1.T_max': 760,
            'param_scheduler.1.end': 800,
        }
        cfg = tiny_run('ccmim_vitb', folder, changes)
        cfg.resume = resume
        return build_runner(cfg)

    return start


def _losses(runner):
    return runner.message_hub.get_scalar('train/loss').data[0].tolist()


@pytest.mark.skipif('CCMIM_RECORD' not in os.environ, reason='nothing to record')
def test_record(start):
    runner = start('run')
    runner.train()
    checkpoint = torch.load('run/epoch_1.pth', weights_only=False)
    checkpoint['message_hub']['runtime_info'].pop('last_ckpt')
    name = f'release_{ccmim.__version__}'
    torch.save(checkpoint, GOLDEN / f'{name}.pt')
    losses = ''.join(f'{loss:.9f}\n' for loss in _losses(runner)[4:])
    (GOLDEN / f'{name}.txt').write_text(losses)
    assert (GOLDEN / f'{name}.pt').stat().st_size < 300_000


@pytest.mark.parametrize(
    'file', sorted(GOLDEN.glob('release_*.pt')), ids=lambda path: path.stem
)
def test_a_checkpoint_of_an_earlier_release_goes_on(start, file):
    Path('run').mkdir()
    shutil.copyfile(file, 'run/epoch_1.pth')
    runner = start('run', resume=True)
    runner.train()
    losses = _losses(runner)
    assert len(losses) == 8
    expected = [float(line) for line in file.with_suffix('.txt').read_text().split()]
    assert losses[4:] == pytest.approx(expected, rel=3e-5)
