"""A real Runner pretrains on real files and transfers its weights."""

import pytest
import torch

from ccmim.checkpoints import load_file
from ccmim.engine.launch import build_runner
from tests.short_runs import record_losses


@pytest.fixture
def config(tiny_run):
    """Make a tiny config of epochs of two steps."""

    def make(name, folder, epochs):
        changes = {'train_dataloader.batch_size': 4, 'train_cfg.max_epochs': epochs}
        return tiny_run(name, folder, changes)

    return make


@pytest.mark.slow
def test_without_step_seeds_resume_differs(config, tmp_path):
    """The control of the tests of resuming: they can fail."""
    changes = {'default_hooks.step_seed': None}
    cfg = config('ccmim_vitb', 'a', 2)
    cfg.merge_from_dict(changes)
    runner = build_runner(cfg)
    straight = record_losses(runner)
    runner.train()
    cfg = config('ccmim_vitb', 'b', 2)
    cfg.merge_from_dict(changes)
    cfg.load_from, cfg.resume = str(tmp_path / 'a' / 'epoch_1.pth'), True
    resumed_runner = build_runner(cfg)
    resumed = record_losses(resumed_runner)
    resumed_runner.train()
    assert resumed != straight[2:]


def test_checkpoint_serves_downstream_unchanged(config, tmp_path, tiny_vit):
    """Zero missing and unexpected keys, and the same features."""
    cfg = config('ccmim_vitb', 'run', 1)
    runner = build_runner(cfg)
    runner.train()
    file = tmp_path / 'run' / 'epoch_1.pth'
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    vit.init_weights()
    saved, start = load_file(file)['state_dict'], 'backbone.'
    trained = [k.removeprefix(start) for k in saved if k.startswith(start)]
    assert trained == [*vit.state_dict()]
    images = torch.randn(2, 3, 64, 64)
    ours, theirs = vit.eval()(images)[0], runner.model.backbone.eval()(images)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_too_few_images_for_a_batch_are_named(tiny_run):
    cfg = tiny_run('ccmim_vitb', 'a', {'train_dataloader.batch_size': 9})
    with pytest.raises(ValueError, match='8 images are too few for a batch of 9'):
        build_runner(cfg).train()
