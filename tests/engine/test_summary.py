"""Before the first step a run tells each layer's learning rate and its schedule."""

from types import SimpleNamespace

import torch

from ccmim.engine.launch import build_runner
from ccmim.engine.optim.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.engine.summary import beyond_the_run, describe_rates, describe_schedule
from tests.short_runs import short_config


def rates(model, **paramwise):
    constructor = LayerDecayOptimWrapperConstructor(
        dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1)), paramwise
    )
    groups: list = []
    constructor.add_params(groups, model)
    return [line.split(maxsplit=3) for line in describe_rates(model, groups)[1:]]


def test_each_layer_has_a_line_where_rates_fall_with_depth(tiny_vit):
    model = torch.nn.ModuleDict(dict(backbone=tiny_vit(), head=torch.nn.Linear(32, 5)))
    first, *blocks, last = rates(model, layer_decay=0.5)
    embedding, block = 3 * 16 * 16 * 32, 12 * 32 * 32
    assert first == ['1.250e-01', f'{embedding:,}', f'{2 * 32}', 'embedding']
    biases = f'{9 * 32 + 4 * 32:,}'  # of linear layers and norms
    assert blocks == [
        ['2.500e-01', f'{block:,}', biases, 'block 0'],
        ['5.000e-01', f'{block:,}', biases, 'block 1'],
    ]
    assert last == ['1.000e+00', '160', '69', 'the rest']


def test_layers_of_one_rate_share_a_line(tiny_vit):
    model = torch.nn.ModuleDict(dict(backbone=tiny_vit(), head=torch.nn.Linear(32, 5)))
    (line,) = rates(model)
    assert line[-1] == 'embedding, blocks 0 to 1, the rest'
    both = rates(model, lr_mult={'backbone.blocks.0': 0.1})
    assert [line[-1] for line in both] == ['block 0', 'embedding, block 1, the rest']


def test_a_schedule_that_outlasts_the_run_is_named():
    run = SimpleNamespace(max_epochs=2, max_iters=20)
    long = dict(type='LinearLR', by_epoch=False, end=400)
    (told,) = beyond_the_run([dict(type='CosineAnnealingLR', end=2), long], run)
    assert told.startswith('param_scheduler.1 (LinearLR) ends after 400 steps and the')


def test_a_schedule_is_told_stage_by_stage():
    warm_up = dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=5)
    drops = dict(type='MultiStepLR', by_epoch=False, begin=5, milestones=[8], gamma=0.1)
    assert describe_schedule([warm_up, drops])[1:] == [
        '  epochs 0 to 5: LinearLR start_factor=0.01',
        '  steps 5 to the end: MultiStepLR milestones=[8.0], gamma=0.1',
    ]
    decay = dict(type='PolyLR', by_epoch=False, begin=30, end=100)
    _, told = describe_schedule([decay], epoch_length=20)
    assert told == '  epochs 1.5 to 5: PolyLR'
    assert describe_schedule(None) == ['Schedule: none, rates stay as they are']


def test_a_run_tells_the_rates_that_it_really_starts_from(image_folder, tmp_path):
    """Scaled for the batch: half the base batch, half the rate; and a long queue."""
    cfg = short_config('small/densecl_vitt', tmp_path / 'run', image_folder)
    cfg.optim_wrapper.dtype = 'bfloat16'
    cfg.auto_scale_lr = dict(base_batch_size=4, enable=True)
    runner = build_runner(cfg)
    runner.train_loop._max_epochs = 0
    runner.train()
    log = next((tmp_path / 'run').rglob('*.log')).read_text()
    half = cfg.optim_wrapper.optimizer.lr / 2
    assert f'{half:.3e}' in log[log.index('Learning rate  values') :]
    assert 'epochs 0 to ' in log
    assert 'Forward passes in bfloat16\n' in log
    assert 'model.contrast.length=' in log
