"""The settings that are chosen, and the config that is made of them."""

import pytest
import torch
from mmengine.registry import DefaultScope

from ccmim.api.catalogue import list_methods
from ccmim.apps.cli.choose import Machine, choose
from ccmim.apps.cli.recipe import make_recipe
from ccmim.engine.optim.rates import learning_rates
from ccmim.engine.settings import check_arguments, fit_sizes
from ccmim.ranges import in_epochs
from ccmim.registry import MODELS

CPU = Machine('cpu', 'no GPU', 16, 4)
BUILT = [('ccmim', 'tiny'), ('simmim', 'small'), ('mae', 'small')]


@pytest.mark.parametrize(
    ('gigabytes', 'size', 'batch'),
    [(None, 'tiny', 64), (8, 'small', 64), (16, 'base', 128), (80, 'base', 256)],
)
def test_the_machine_decides(gigabytes, size, batch):
    machine = CPU if gigabytes is None else Machine('cuda', 'GPU', gigabytes, 16)
    found = choose(1000, 500, machine, 'ccmim')
    assert (found.size, found.batch_size) == (size, batch)
    side = 128 if gigabytes is None else 224
    assert (found.image_size, found.patch_size) == (side, 16)
    assert found.epochs == (60 if gigabytes is None else 800)
    assert found.workers == (3 if gigabytes is None else 8)


def test_few_or_small_photos_and_what_the_user_says_come_first():
    assert choose(10, 500, CPU, 'ccmim').batch_size == 10
    assert choose(10, 500, CPU, 'ccmim').epochs == 200
    assert choose(10**6, 500, CPU, 'ccmim').epochs == 5
    small = choose(1000, 32, CPU, 'mae')
    assert (small.size, small.image_size, small.patch_size) == ('tiny', 32, 4)
    assert choose(1000, 32, CPU, 'simmim').patch_size == 16
    hooks = make_recipe(small, ['photos']).default_hooks
    assert 'knn' not in hooks.probe, 'no other data are needed'
    asked = choose(1000, 32, CPU, 'mae', 'base', 96, 8, 3, 1)
    assert asked == ('mae', 'base', 96, 16, 8, 3, 1)


@pytest.mark.parametrize(('method', 'size'), BUILT)
def test_a_recipe_can_be_built(method, size):
    _build(method, size)


def test_the_rate_of_flip_is_not_that_of_a_whole_cluster():
    settings = choose(100, 500, CPU, 'flip', 'base', 96, 10, 7)
    assert make_recipe(settings, ['photos']).auto_scale_lr.base_batch_size == 64


@pytest.mark.slow
@pytest.mark.parametrize('size', ['tiny', 'small', 'base', 'large'])
@pytest.mark.parametrize('method', list_methods())
def test_every_recipe_can_be_built(method, size):
    _build(method, size)


def _build(method, size):
    settings = choose(100, 500, CPU, method, size, 96, 10, 7)
    cfg = make_recipe(settings, ['photos'])
    check_arguments(cfg)
    fit_sizes(cfg)
    with torch.device('meta'), DefaultScope.overwrite_default_scope('ccmim'):
        model = MODELS.build(cfg.model)
    assert model.backbone.grid == (6, 6)
    widths = dict(tiny=192, small=384, base=768, large=1024)
    assert model.backbone.embed_dim == widths[size]
    assert cfg.train_dataloader.dataset.data == 'photos'
    assert cfg.train_dataloader.batch_size == 10
    assert cfg.train_cfg.max_epochs == 7
    assert cfg.auto_scale_lr.enable
    assert cfg.optim_wrapper.accumulative_counts == 1


def test_a_drop_of_the_rate_is_at_its_share_of_the_run():
    """SimMIM's falls to a tenth after 700 of 800 epochs."""
    cfg = make_recipe(choose(100, 500, CPU, 'simmim', 'base', epochs=80), ['photos'])
    schedule = learning_rates(cfg, epoch_length=2, points=160)
    assert schedule.unit == 'epochs'
    rates = schedule.rates[:, 0]
    drop = schedule.steps[(rates < 0.5 * rates.max()) & (schedule.steps > 10)].min()
    assert drop == 70


@pytest.mark.parametrize(
    ('size', 'epochs', 'begin'),
    [('tiny', 8, 2), ('tiny', 80, 20), ('base', 5, 1), ('base', 1, 0)],
)
def test_amt_begins_to_throw_at_its_share_of_the_run(size, epochs, begin):
    """A quarter of the small config's epochs, a tenth and a fifth of the others'."""
    for method in ('amt_mae', 'amt_simmim'):
        settings = choose(100, 500, CPU, method, size, epochs=epochs)
        cfg = make_recipe(settings, ['photos'])
        sampler = cfg.model.sampler
        staged = sampler if sampler.type == 'SwitchSampler' else sampler.sampler
        (hook,) = (h for h in cfg.custom_hooks if h.type == 'ccmim.ScoreRefreshHook')
        assert in_epochs(staged.begin, epochs) == in_epochs(hook.begin, epochs) == begin
        assert max(1, in_epochs(hook.interval, epochs)) == max(1, begin)


def test_densecl_compares_cells_within_a_short_run():
    for size in ('tiny', 'base'):
        settings = choose(100, 500, CPU, 'densecl', size, epochs=20)
        assert make_recipe(settings, ['photos']).model.dense_begin == 100
