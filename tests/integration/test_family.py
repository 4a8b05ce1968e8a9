"""Each method's config trains in a real Runner, resumes exactly and transfers."""

import pytest
import torch
from mmengine.config import Config

from ccmim.checkpoints import load_file
from ccmim.training.launch import build_runner

TINY = dict(embed_dim=32, depth=2, num_heads=2)
METHODS = ['simmim', 'maskdistill', 'conmim']


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
            'model.sampler.img_size': 64,
            'model.mask_token.dim': 32,
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.pin_memory': False,
            'train_dataloader.dataset.transform.0.size': 64,
            'train_cfg.max_epochs': 3,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.logger.interval': 1,
        }
        part = 'projector' if method == 'conmim' else 'decoder'
        changes[f'model.{part}.in_dim'] = 32
        if method == 'maskdistill':
            changes['model.sampler.min_area'] = 2
            changes['model.teacher.backbone.arch'] = TINY
            changes['model.teacher.checkpoint'] = teacher
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
def test_resumed_run_equals_straight_run(method, config, tmp_path):
    """Losses and weights bit for bit, from a checkpoint after the first epoch."""
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
def test_checkpoint_serves_downstream_unchanged(method, config, tmp_path, tiny_vit):
    """Zero missing and unexpected keys; the weights are the trained ones."""
    cfg = config(method, tmp_path / 'run')
    cfg.train_cfg.max_epochs = 1
    runner = build_runner(cfg)
    before = runner.model.backbone.blocks[0].attn.qkv.weight.detach().clone()
    runner.train()
    file = tmp_path / 'run' / 'epoch_1.pth'
    saved = load_file(file)['state_dict']
    assert not any('teacher' in name for name in saved)
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    vit.init_weights()
    for name, value in vit.state_dict().items():
        assert torch.equal(value, saved[f'backbone.{name}'])
    assert not torch.equal(vit.blocks[0].attn.qkv.weight, before)
