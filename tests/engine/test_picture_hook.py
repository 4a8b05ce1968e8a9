"""Pictures of a run change nothing of it and never stop it."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.engine.hooks.pictures import undisturbed
from ccmim.engine.launch import build_runner
from tests.short_runs import record_losses, short_config


@pytest.fixture
def run(image_folder, tmp_path):
    """Train two epochs of four steps; the runner and the losses, step by step."""

    def run(folder, **options):
        changes = {'train_cfg.max_epochs': 2, 'default_hooks.checkpoint.interval': 10}
        leaf = 'small/ccmim_vitt'
        cfg = short_config(leaf, tmp_path / folder, image_folder, changes)
        cfg.model.backbone.img_size = 128
        cfg.model.backbone.arch = dict(embed_dim=192, depth=1, num_heads=3)
        # Without StepSeedHook each number that the hook draws would move the masks.
        cfg.custom_hooks = [dict(type='PictureHook', **options)] if options else []
        runner = build_runner(cfg)
        losses = record_losses(runner)
        runner.train()
        return runner, losses

    return run


def _sizes(folder):
    return {file.name: Image.open(file).size for file in folder.glob('**/*.png')}


@pytest.mark.slow
def test_the_training_is_the_same_to_the_last_bit(run, tmp_path):
    drawn, with_pictures = run('drawn', interval=1, images=3)
    plain, without = run('plain')
    assert with_pictures == without
    ours, theirs = (r.model.state_dict() for r in (drawn, plain))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    sizes = _sizes(tmp_path / 'drawn' / 'pictures')
    assert sizes.keys() == {'epoch_1.png', 'epoch_2.png'}
    assert len(set(sizes.values())) == 1
    shown = _sizes(tmp_path / 'drawn').keys() - sizes.keys()
    assert shown == {'pictures_1.png', 'pictures_2.png'}  # of the visualizer
    first, last = (
        np.asarray(Image.open(tmp_path / f'drawn/pictures/epoch_{i}.png')).astype(int)
        for i in (1, 2)
    )
    assert (first[:600, :238] == last[:600, :238]).all()  # the same parts of images
    assert (first[:600, 700:] != last[:600, 700:]).any()  # reconstructed anew


@pytest.mark.slow
def test_an_error_is_one_warning(run, tmp_path, monkeypatch):
    monkeypatch.setattr('ccmim.pictures.method_sheet', lambda *_, **__: 1 / 0)
    runner, losses = run('failed', interval=1)
    assert len(losses) == 8
    (log,) = (tmp_path / 'failed').glob('*/*.log')
    text = log.read_text()
    assert text.count('No more pictures of this run: ZeroDivisionError') == 1
    assert runner.model.training
    assert not (tmp_path / 'failed/pictures').exists()


@pytest.mark.slow
def test_a_tracker_that_takes_no_pictures_costs_none_in_the_work_dir(
    run, tmp_path, monkeypatch
):
    taking = 'mmengine.visualization.Visualizer.add_image'
    monkeypatch.setattr(taking, lambda *_, **__: 1 / 0)
    run('refused', interval=1)
    (log,) = (tmp_path / 'refused').glob('*/*.log')
    assert log.read_text().count('refused/pictures alone: ZeroDivisionError') == 1
    drawn = _sizes(tmp_path / 'refused' / 'pictures')
    assert drawn.keys() == {'epoch_1.png', 'epoch_2.png'}


def test_modes_and_generators_are_restored(tiny_ccmim):
    model = tiny_ccmim().train()
    model.decoder.eval()
    modes = [module.training for module in model.modules()]
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    draws = []
    for _ in range(2):
        with pytest.raises(KeyError):
            _draw_and_fail(model, draws)
    assert draws[0] == draws[1]
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert (before[2] == np.random.get_state()[1]).all()


def _draw_and_fail(model, draws):
    with undisturbed(model):
        assert not any(module.training for module in model.modules())
        draws.append((torch.rand(()).item(), random.random(), np.random.rand()))
        raise KeyError


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(torch.compiler, 'set_stance'), reason='PyTorch before 2.6'
)
def test_nothing_is_compiled_for_pictures():
    from torch._dynamo.testing import CompileCounter  # takes a second

    counter = CompileCounter()
    layer = torch.nn.Linear(4, 4)
    compiled = torch.compile(layer, backend=counter, dynamic=False)
    compiled(torch.zeros(2, 4))
    assert counter.frame_count == 1
    with undisturbed(layer):
        compiled(torch.zeros(5, 4))
    assert counter.frame_count == 1
    compiled(torch.zeros(5, 4))
    assert counter.frame_count == 2  # the control: it can fail


@pytest.mark.slow
def test_when_it_draws(run, tmp_path):
    run('seldom', interval=10, images=[5])
    assert _sizes(tmp_path / 'seldom' / 'pictures').keys() == {'epoch_2.png'}
