"""The drawn learning rates are those that a run trains with."""

import math

import pytest
from mmengine.config import Config
from PIL import Image

from ccmim.engine.launch import build_runner
from ccmim.engine.optim.rates import learning_rates
from ccmim.engine.settings import fit_sizes
from tests.short_runs import short_config

BY_EPOCH = dict(by_epoch=True, convert_to_iter_based=True)
WARM_UP = dict(type='LinearLR', start_factor=0.25, begin=0, end=4, **BY_EPOCH)
COSINE = dict(type='CosineAnnealingLR', begin=4, end=10, T_max=6, **BY_EPOCH)


@pytest.fixture
def config(request):
    path = request.config.rootpath / 'mm_configs' / 'small' / 'ccmim_vitt.py'
    cfg = Config.fromfile(path)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=10)
    cfg.param_scheduler = [WARM_UP, COSINE]
    cfg.optim_wrapper.optimizer.lr = 1e-3
    return cfg


def test_warm_up_and_cosine_follow_their_formulae(config):
    schedule = learning_rates(config, points=100)
    assert schedule.unit == 'epochs'
    assert schedule.steps[[0, 1, -1]].tolist() == [0.0, 0.1, 9.9]
    steps = schedule.steps.round(1).tolist()
    rates = dict(zip(steps, schedule.rates[:, 0], strict=True))
    assert rates[0.0] == pytest.approx(0.25e-3)
    # The last of the 40 steps of warm-up is the first at the full rate.
    assert rates[2.0] == pytest.approx(1e-3 * (0.25 + 0.75 * 20 / 39))
    assert rates[7.0] == pytest.approx(1e-3 * (1 + math.cos(math.pi * 3 / 6)) / 2)


def test_each_group_keeps_its_distance_from_the_highest(config):
    config.optim_wrapper.paramwise_cfg.layer_decay = 0.5
    schedule = learning_rates(config, points=10)
    ratios = schedule.rates / schedule.rates[:, -1:]
    assert ratios.std(axis=0).max() < 1e-12
    depths = {round(math.log(r, 0.5)) for r in ratios[0]}
    assert depths == set(range(14))  # the embedding, twelve blocks, what follows


def test_long_schedules_by_steps_keep_their_shape(config):
    config.train_cfg = dict(by_epoch=False, max_iters=100_000)
    config.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, begin=0, end=10_000, by_epoch=False),
        dict(type='MultiStepLR', milestones=[60_000, 90_000], by_epoch=False),
    ]
    schedule = learning_rates(config, points=1000)
    assert schedule.unit == 'steps'
    rates = dict(zip(schedule.steps.tolist(), schedule.rates[:, 0], strict=True))
    for step, rate in ((0, 1e-4), (20_000, 1e-3), (61_000, 1e-4), (91_000, 1e-5)):
        assert rates[step] == pytest.approx(rate)


def test_steps_in_a_run_by_epochs_need_the_length_of_an_epoch(config):
    warm_up = dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False)
    config.param_scheduler = [warm_up]
    with pytest.raises(ValueError, match='--epoch-length'):
        learning_rates(config)
    schedule = learning_rates(config, epoch_length=100, points=1000)
    reached = schedule.steps[schedule.rates[:, 0] > 0.999e-3].min()
    assert reached == pytest.approx(0.5, abs=0.02)


def test_the_command_draws_and_prints(request, tmp_path, run_tool):
    leaf = request.config.rootpath / 'mm_configs/small/mae_vitt.py'
    code, said, _ = run_tool('plot_schedule.py', leaf, '--out', tmp_path / 'rates.png')
    assert code == 0
    assert 'lr x 1, wd 0.05' in said
    with Image.open(tmp_path / 'rates.png') as picture:
        assert len(picture.convert('RGB').getcolors(1 << 24)) > 10


@pytest.mark.parametrize(
    ('leaf', 'warm_up', 'length'),
    [
        ('small/mae_vitt.py', 0.1, dict(max_epochs=2)),
        ('pretrain/ccmim_vitb.py', 0.05, dict(max_epochs=2)),
        ('pretrain/simmim_vitb.py', 10 / 800, dict(max_epochs=8)),
        ('small/upernet_vitt_camvid.py', 50 / 300, dict(max_iters=60)),
    ],
)
def test_one_key_changes_the_length_of_the_whole_schedule(
    request, leaf, warm_up, length
):
    pytest.importorskip('mmseg')
    cfg = Config.fromfile(request.config.rootpath / 'mm_configs' / leaf)
    fit_sizes(cfg)
    cfg.train_cfg.update(length)
    (total,) = length.values()
    per_epoch = 500 if 'max_epochs' in length else 1
    schedule = learning_rates(cfg, per_epoch, points=total * per_epoch)
    rates = schedule.rates.max(axis=1)
    full = schedule.steps[rates > 0.999 * cfg.optim_wrapper.optimizer.lr].min()
    assert full == pytest.approx(warm_up * total, abs=1.5 / per_epoch)
    assert rates[-1] < 0.11 * rates.max()


def test_a_runner_follows_the_curve_that_is_drawn(image_folder, tmp_path):
    """Two epochs of four steps; the warm-up, 0.8 steps, is left out."""
    changes = {'train_cfg.max_epochs': 2}
    cfg = short_config('small/mae_vitt', tmp_path / 'run', image_folder, changes)
    cfg.default_hooks = dict(
        logger=dict(type='LoggerHook', interval=1),
        checkpoint=dict(type='ccmim.SafeCheckpointHook'),
    )
    cfg.custom_hooks = []
    runner = build_runner(cfg)
    runner.train()
    rates = runner.message_hub.get_scalar('train/lr').data[0]
    length = len(runner.train_dataloader)
    drawn = learning_rates(cfg, epoch_length=length, points=2 * length)
    assert rates.tolist() == pytest.approx(drawn.rates.max(axis=1), rel=1e-12)


@pytest.mark.parametrize(
    ('count', 'told'),
    [
        (dict(end=1.5), r'param_scheduler\.0\.end=1\.5 must be a whole number'),
        (dict(milestones=[0.5, -1.0]), r'param_scheduler\.0\.milestones\.1=-1\.0'),
    ],
)
def test_a_count_is_a_number_or_a_fraction(config, count, told):
    config.param_scheduler = [dict(type='MultiStepLR', **count)]
    with pytest.raises(ValueError, match=told):
        learning_rates(config)
    config.train_cfg = dict(max_iters=5)
    config.param_scheduler = [dict(type='MultiStepLR', milestones=[1])]
    with pytest.raises(ValueError, match='counts epochs, but the run counts iter'):
        learning_rates(config)
