"""Each method's config trains in a real Runner, resumes exactly and transfers."""

import functools

import pytest
import torch

from ccmim import get_model
from ccmim.apps.cli import main
from ccmim.checkpoints import load_file
from ccmim.engine.launch import build_runner
from soaking.runs import add_captions
from tests import tiny_methods
from tests.short_runs import SHORT, record_losses

# What begins later than these short runs end, below `model`.
EARLIER = {'amt_mae': 'sampler', 'amt_simmim': 'sampler.sampler'}
METHODS = tiny_methods.with_extras()
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in METHODS[1:]]


@pytest.fixture
def teacher(tiny_vit, tmp_path):
    """A file with the weights of a tiny teacher."""
    torch.save(tiny_vit().state_dict(), tmp_path / 'teacher.pth')
    return str(tmp_path / 'teacher.pth')


@pytest.fixture
def config(image_folder, teacher):
    """Make the small config of a method narrow, on a folder of eight photos."""

    def make(method, work_dir):
        cfg = tiny_methods.tiny_config(method)
        changes = {
            **SHORT,
            'work_dir': str(work_dir),
            'train_dataloader.batch_size': 4,
            'train_cfg.max_epochs': 3,
        }
        if 'checkpoint' in cfg.model.get('teacher', {}):  # no average of the student
            changes['model.teacher.checkpoint'] = teacher
        if 'dense_begin' in cfg.model:
            changes['model.dense_begin'] = 3
        if method in EARLIER:
            changes[f'model.{EARLIER[method]}.begin'] = 1
            cfg.custom_hooks[-1].update(begin=1, interval=1)
        cfg.train_dataloader.dataset.data = str(image_folder)
        add_captions(cfg.train_dataloader.dataset, image_folder)
        cfg.merge_from_dict(changes)
        return cfg

    return make


def _straight_and_resumed(make, folder):
    """Train once in one go, once from the first checkpoint on: models and losses."""
    runner = build_runner(make(folder / 'straight'))
    straight = record_losses(runner)
    runner.train()
    assert len(straight) == 6
    cfg = make(folder / 'resumed')
    cfg.load_from, cfg.resume = str(folder / 'straight' / 'epoch_1.pth'), True
    torch.manual_seed(99)
    resumed_runner = build_runner(cfg)
    resumed = record_losses(resumed_runner)
    resumed_runner.train()
    return runner.model, straight[2:], resumed_runner.model, resumed


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_resumed_run_equals_straight_run(method, config, tmp_path):
    """Losses, weights, queues, teachers and stored scores, bit for bit."""
    make = functools.partial(config, method)
    one, straight, other, resumed = _straight_and_resumed(make, tmp_path)
    assert resumed == straight
    ours, theirs = other.state_dict(), one.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


@pytest.mark.slow
def test_without_step_seeds_resume_differs(config, tmp_path):
    """The control: what compares a resumed run with a straight one can fail."""

    def make(folder):
        cfg = config('ccmim', folder)
        cfg.default_hooks.step_seed = None
        return cfg

    _, straight, _, resumed = _straight_and_resumed(make, tmp_path)
    assert resumed != straight


@pytest.mark.parametrize('method', [METHODS[0], *OTHERS])
def test_checkpoint_serves_downstream_unchanged(method, config, tmp_path, tiny_vit):
    """No missing or unexpected keys; the weights are the trained ones, exported too."""
    cfg = config(method, tmp_path / 'run')
    cfg.train_cfg.max_epochs = 2  # AMT throws in the second one
    runner = build_runner(cfg)
    before = runner.model.backbone.blocks[0].attn.qkv.weight.detach().clone()
    runner.train()
    file = tmp_path / 'run' / 'epoch_2.pth'
    saved = load_file(file)['state_dict']
    teacher = cfg.model.get('teacher')
    averaged = teacher is not None and 'checkpoint' not in teacher  # the others: frozen
    assert any('teacher' in name for name in saved) == averaged
    start = dict(type='Pretrained', checkpoint=str(file))
    vit = tiny_vit(img_size=cfg.model.backbone.img_size, init_cfg=start)
    vit.init_weights()
    for name, value in vit.state_dict().items():
        assert torch.equal(value, saved[f'backbone.{name}'])
    assert not torch.equal(vit.blocks[0].attn.qkv.weight, before)
    assert main(['export', str(file), '--to', 'safetensors']) == 0
    exported = get_model(file.with_suffix('.safetensors')).state_dict()
    assert all(torch.equal(exported[k], v) for k, v in vit.state_dict().items())
