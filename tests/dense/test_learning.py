"""The detector and the segmentor learn: a part that is wired wrongly would not."""

import json

import pytest
from mmengine.config import Config

from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.engine.launch import build_runner

STEPS = 120


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return write_toy_scenes(tmp_path_factory.mktemp('toy') / 'scenes', 16, 1)


def _log(request, monkeypatch, scenes, work_dir, name, batch):
    monkeypatch.setenv('CCMIM_TOY', str(scenes))
    cfg = Config.fromfile(request.config.rootpath / f'mm_configs/demo/{name}.py')
    changes = {
        'work_dir': str(work_dir),
        'visualizer.name': work_dir.name,  # else one of another test goes on
        'train_cfg.max_iters': STEPS,
        'train_dataloader.batch_size': batch,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'default_hooks.logger.interval': 10,
        'default_hooks.checkpoint.interval': 10 * STEPS,
    }
    parts = ('val_cfg', 'val_dataloader', 'val_evaluator')
    cfg.merge_from_dict(changes | dict.fromkeys(parts))
    build_runner(cfg).train()
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if 'loss' in line]  # not those of a validation


@pytest.mark.slow
def test_mask_rcnn_learns_sixteen_scenes(request, monkeypatch, scenes, tmp_path):
    """With RoIs from mixed-up pixels the masks stay at the loss of a guess, 0.66."""
    log = _log(request, monkeypatch, scenes, tmp_path, 'mask_rcnn_toy', 4)
    assert log[0]['loss_mask'] == pytest.approx(0.69, abs=0.02)
    assert log[-1]['loss_mask'] < 0.6
    assert log[-1]['loss_cls'] < 0.6 * log[0]['loss_cls']


@pytest.mark.slow
def test_upernet_learns_sixteen_scenes(request, monkeypatch, scenes, tmp_path):
    log = _log(request, monkeypatch, scenes, tmp_path, 'upernet_toy', 8)
    assert log[0]['decode.loss_ce'] > 1.6
    assert log[-1]['decode.loss_ce'] < 1.0
