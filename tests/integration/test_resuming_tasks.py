"""Labeled tasks resume bit for bit, as pretraining does."""

import itertools
from argparse import Namespace

import pytest
from mmengine.config import Config

from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.engine.launch import build_runner

TINY = dict(embed_dim=32, depth=4, num_heads=2)
COMMON = {
    'model.backbone.drop_path_rate': 0.2,
    'train_dataloader.batch_size': 2,
    'train_dataloader.persistent_workers': False,
    'default_hooks.logger.interval': 1,
    'optim_wrapper.dtype': 'float32',
}
PARTS = itertools.product(('val', 'test'), ('cfg', 'dataloader', 'evaluator'))
COMMON |= {f'{split}_{part}': None for split, part in PARTS}
EOMT = {
    'train_cfg.max_iters': 6,  # masks fade from the second on
    'model.backbone.img_size': 64,
    'model.train_cfg.num_points': 64,
}
THINGS = 'striped_blob', 'dotted_star', 'checked_cross', 'zigzag_crescent'
STUFF = 'grass', 'sand', 'clouds', 'planks'
SLOW = 'small/eomt_vitt_camvid', 'small/eomt_vitt_street'
STREET = dict(classes=THINGS + STUFF, thing_classes=THINGS, stuff_classes=STUFF)
NUMBER = 'model.panoptic_head.num_things_classes'
FEW = {'train_cfg.max_iters': 5}
TUNED = {'train_cfg.max_epochs': 1, 'model.head.in_dim': 32}
TUNED['model.head.num_classes'] = 2
OWN = {
    'demo/fcos_toy_64px': {**FEW, 'model.neck.in_channels': [32]},
    'demo/linear_toy_64px': {**FEW, 'model.decode_head.in_channels': 32},
    'small/eomt_vitt_penn_fudan': {**EOMT, NUMBER: 4},
    'small/eomt_vitt_camvid': {**EOMT, 'model.decode_head.num_classes': 8},
    'small/eomt_vitt_street': {
        **{**EOMT, NUMBER: 4, 'model.panoptic_head.num_stuff_classes': 4},
        'train_dataloader.dataset.metainfo': STREET,
    },
    'small/finetune_vitt_cifar10': TUNED,
    'small/finetune_vitt_cifar10_10pct_lio': {
        **{**TUNED, 'train_dataloader.dataset.label_ratio': 1.0},
        'train_dataloader.sampler.group_size': 2,
    },
}


@pytest.fixture
def start(request, image_folder, tmp_path, monkeypatch):
    """Build a short run of a leaf on images of the test."""
    monkeypatch.setenv('CCMIM_TOY', str(tmp_path / 'toy'))
    monkeypatch.setenv('CCMIM_STREET', str(tmp_path / 'street'))

    def start(leaf, name, workers, stop=None, resume=None):
        cfg = Config.fromfile(request.config.rootpath / f'mm_configs/{leaf}.py')
        cfg.model.backbone.arch = TINY
        if 'street' not in leaf and 'eomt' in leaf:
            toys = 'upernet_toy' if 'camvid' in leaf else 'mask_rcnn_toy'
            toys = request.config.rootpath / f'mm_configs/demo/{toys}.py'
            cfg.train_dataloader = Config.fromfile(toys).train_dataloader
        cfg.merge_from_dict({**COMMON, **OWN[leaf]})
        cfg.work_dir, cfg.experiment_name = str(tmp_path / name), name
        loader = cfg.train_dataloader
        loader.num_workers = workers
        if 'finetune' in leaf:
            loader.dataset.data = str(image_folder)
        cfg.model.backbone.init_cfg = None
        cfg.default_hooks.checkpoint.update(by_epoch=False, interval=3)
        if resume:
            cfg.resume, cfg.load_from = True, str(resume)
        return build_runner(cfg)

    return start


@pytest.mark.parametrize(
    'leaf',
    [
        pytest.param(leaf, marks=pytest.mark.slow) if leaf in SLOW else leaf
        for leaf in OWN
    ],
)
def test_a_resumed_task_repeats_the_losses(start, tmp_path, leaf, request):
    """Steps 4 and on, with two workers, equal those of a run that was left alone."""
    if 'finetune' not in leaf:
        pytest.importorskip('mmdet')
        pytest.importorskip('mmseg')
        write_toy_scenes(tmp_path / 'toy', 6, 2, 64)
    if 'street' in leaf:
        from make_panoptic import make

        maps = str(request.config.rootpath / 'mm_configs/demo/upernet_toy.py')
        given = dict(maps=maps, objects=None, things=THINGS, rename=[])
        make(Namespace(out=tmp_path / 'street', **given))

    def losses(runner):
        runner.train()
        return runner.message_hub.get_scalar('train/loss').data[0].tolist()

    straight = losses(start(leaf, 'straight', 0))
    resumed = losses(start(leaf, 'resumed', 2, resume=tmp_path / 'straight/iter_3.pth'))
    assert len(set(straight)) == len(straight) > 3
    assert resumed == straight
