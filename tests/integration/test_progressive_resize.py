"""A run whose images grow and that draws two masks, straight and resumed."""

import json

import pytest
import torch

from ccmim.engine.launch import build_runner

CHANGES = {
    'model.num_masks': 2,
    'model.data_preprocessor.schedule': [(0, 32), (1, 64)],
    'train_cfg.max_epochs': 2,
    'default_hooks.checkpoint.by_epoch': False,
    'default_hooks.checkpoint.interval': 6,
    'optim_wrapper.dtype': 'float32',
}
NAMES = ('image_size', 'loss_reconstruction', 'loss_contrast', 'contrast_accuracy')


def _logged(folder):
    (file,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [[line[name] for name in NAMES] for line in lines if 'loss' in line]


@pytest.mark.slow
def test_sizes_are_those_of_the_schedule_and_of_a_resumed_run(tiny_run, tmp_path):
    """Four steps an epoch; resumed in the middle of the second, bit for bit."""
    straight = build_runner(tiny_run('ccmim_vitb_progressive', 'straight', CHANGES))
    straight.train()
    lines = _logged(tmp_path / 'straight')
    assert [line[0] for line in lines] == [32] * 4 + [64] * 4
    file = next((tmp_path / 'straight').glob('*iter_6.pth'))
    again = {**CHANGES, 'load_from': str(file), 'resume': True}
    resumed = build_runner(tiny_run('ccmim_vitb_progressive', 'resumed', again))
    resumed.train()
    assert _logged(tmp_path / 'resumed') == lines[6:]
    ours, theirs = (run.model.state_dict().values() for run in (straight, resumed))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
