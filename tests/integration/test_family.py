"""Each method's config trains in a real Runner, resumes exactly and transfers."""

import pytest
import torch
from mmengine.config import Config

from ccmim.checkpoints import load_file
from ccmim.engine.launch import build_runner

TINY = dict(embed_dim=32, depth=2, num_heads=2)
DECODER = dict(in_dim=32, embed_dim=16, depth=1, num_heads=2, img_size=64)
MASKED = {'sampler.img_size': 64, 'mask_token.dim': 32}
# What makes the small config of each method tiny, below `model`.
METHODS = {
    'simmim': {**MASKED, 'decoder.in_dim': 32},
    'maskdistill': {**MASKED, 'decoder.in_dim': 32, 'sampler.min_area': 2},
    'conmim': {**MASKED, 'projector.in_dim': 32},
    'amt_mae': {'decoder': DECODER, 'scorer.img_size': 64, 'sampler.begin': 1},
    'amt_simmim': {
        **MASKED,
        'decoder.in_dim': 32,
        'scorer.img_size': 64,
        'sampler.sampler.begin': 1,
    },
    'hpm': {'decoder': DECODER, 'predictor': DECODER},
    'simclr': {'projector.in_dim': 32},
    'densecl': {
        'projector.in_dim': 32,
        'contrast.length': 6,
        'dense_contrast.length': 6,
        'dense_begin': 3,
    },
}


@pytest.fixture
def teacher(tiny_vit, tmp_path):
    """A file with the weights of a tiny teacher."""
    torch.save(tiny_vit().state_dict(), tmp_path / 'teacher.pth')
    return str(tmp_path / 'teacher.pth')


@pytest.fixture
def config(request, image_folder, teacher):
    """Make the small config of a method tiny, on a folder of eight photos."""

    def make(method, work_dir):
        root = request.config.rootpath
        cfg = Config.fromfile(root / f'mm_configs/small/{method}_vitt.py')
        changes = {
            'work_dir': str(work_dir),
            'model.backbone.arch': TINY,
            'model.backbone.img_size': 64,
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.pin_memory': False,
            'train_cfg.max_epochs': 3,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.logger.interval': 1,
        }
        changes.update({f'model.{k}': v for k, v in METHODS[method].items()})
        first = cfg.train_dataloader.dataset.transform[0]
        (first.transform[0] if first.type == 'TwoViews' else first).size = 64
        if method == 'maskdistill':
            changes['model.teacher.backbone.arch'] = TINY
            changes['model.teacher.checkpoint'] = teacher
        if method.startswith('amt'):
            cfg.custom_hooks[-1].update(begin=1, interval=1)
        cfg.train_dataloader.dataset.data = str(image_folder)
        cfg.model.backbone.pop('arch')
        if 'teacher' in cfg.model:
            cfg.model.teacher.backbone.pop('arch')
        cfg.merge_from_dict(changes)
        return cfg

    return make


def _record(runner):
    losses, train_step = [], runner.model.train_step

    def recorded(*args, **kwargs):
        logged = train_step(*args, **kwargs)
        losses.append({k: v.item() for k, v in logged.items()})
        return logged

    runner.model.train_step = recorded
    return losses


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.slow
def test_resumed_run_equals_straight_run(method, config, tmp_path):
    """Losses, weights, queues, slow networks and stored scores, bit for bit."""
    runner = build_runner(config(method, tmp_path / 'straight'))
    straight = _record(runner)
    runner.train()
    assert len(straight) == 6

    cfg = config(method, tmp_path / 'resumed')
    cfg.load_from = str(tmp_path / 'straight' / 'epoch_1.pth')
    cfg.resume = True
    torch.manual_seed(99)
    resumed_runner = build_runner(cfg)
    resumed = _record(resumed_runner)
    resumed_runner.train()
    assert resumed == straight[2:]
    ours, theirs = (r.model.state_dict() for r in (resumed_runner, runner))
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.slow
def test_checkpoint_serves_downstream_unchanged(method, config, tmp_path, tiny_vit):
    """Zero missing and unexpected keys; the weights are the trained ones."""
    cfg = config(method, tmp_path / 'run')
    cfg.train_cfg.max_epochs = 2  # AMT throws in the second one
    runner = build_runner(cfg)
    before = runner.model.backbone.blocks[0].attn.qkv.weight.detach().clone()
    runner.train()
    file = tmp_path / 'run' / 'epoch_2.pth'
    saved = load_file(file)['state_dict']
    assert not any('teacher' in name for name in saved)
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    vit.init_weights()
    for name, value in vit.state_dict().items():
        assert torch.equal(value, saved[f'backbone.{name}'])
    assert not torch.equal(vit.blocks[0].attn.qkv.weight, before)
