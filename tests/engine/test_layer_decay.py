"""Every parameter gets the learning rate and weight decay of its depth, once."""

import pytest
import torch
from mmengine.optim import LinearLR
from torch import nn

from ccmim.engine.optim.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.vit import VisionTransformer

ARCH = dict(embed_dim=16, depth=3, num_heads=2)
LR, DECAY, WD = 1e-3, 0.5, 0.1


class Detector(nn.Module):
    """Stand-in for what mmdet builds: a backbone and something on top."""

    def __init__(self, **backbone):
        super().__init__()
        self.backbone = VisionTransformer(
            ARCH, img_size=32, out_indices=(2,), out_norm=True, **backbone
        )
        self.head = nn.Conv2d(16, 4, 1)


def build(model, **paramwise):
    cfg = dict(optimizer=dict(type='AdamW', lr=LR, weight_decay=WD))
    return LayerDecayOptimWrapperConstructor(cfg, paramwise)(model)


def values(model, wrapper, key):
    """Map each parameter's name to its group's value."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: group[key]
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }


def test_every_group_of_a_tiny_model_is_as_listed():
    wrapper = build(Detector(), layer_decay=DECAY)
    groups = [
        (g['name'], g['lr'], g['weight_decay'], len(g['params']))
        for g in wrapper.optimizer.param_groups
    ]
    assert groups == [
        ('lr x 0.0625, wd 0', LR / 16, 0.0, 2),  # class token, bias of the embedding
        ('lr x 0.0625, wd 0.1', LR / 16, WD, 1),
        ('lr x 0.125, wd 0', LR / 8, 0.0, 8),
        ('lr x 0.125, wd 0.1', LR / 8, WD, 4),
        ('lr x 0.25, wd 0', LR / 4, 0.0, 8),
        ('lr x 0.25, wd 0.1', LR / 4, WD, 4),
        ('lr x 0.5, wd 0', LR / 2, 0.0, 8),
        ('lr x 0.5, wd 0.1', LR / 2, WD, 4),
        ('lr x 1, wd 0', LR, 0.0, 3),  # final norm and the head's bias
        ('lr x 1, wd 0.1', LR, WD, 1),
    ]


def test_a_block_learns_slower_by_one_factor_than_the_next():
    model = Detector()
    rates = values(model, build(model, layer_decay=DECAY), 'lr')
    depth = ARCH['depth']
    for name, rate in rates.items():
        if name.startswith('backbone.blocks.'):
            layer = int(name.split('.')[2]) + 1
            assert rate == pytest.approx(LR * DECAY ** (depth + 1 - layer)), name
    assert rates['backbone.patch_embed.proj.weight'] == LR * DECAY ** (depth + 1)
    assert rates['backbone.cls_token'] == LR * DECAY ** (depth + 1)
    assert rates['backbone.norm.weight'] == rates['head.weight'] == LR


def test_each_trained_parameter_is_in_one_group_and_frozen_ones_in_none():
    model = Detector(frozen_stages=1)
    groups = build(model, layer_decay=DECAY).optimizer.param_groups
    grouped = [id(p) for g in groups for p in g['params']]
    trained = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trained)
    assert len(trained) < len(list(model.parameters()))


def test_without_layer_decay_there_are_two_groups_and_any_model_will_do():
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    wrapper = build(model)
    groups = [(g['lr'], g['weight_decay']) for g in wrapper.optimizer.param_groups]
    assert groups == [(LR, 0.0), (LR, WD)]
    decays = values(model, wrapper, 'weight_decay')
    assert decays == {'0.weight': WD, '0.bias': 0.0, '1.weight': 0.0, '1.bias': 0.0}


def test_the_backbone_alone_and_a_wrapped_model_have_the_same_rates():
    model = Detector()

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = model

    plain = values(model, build(model, layer_decay=DECAY), 'lr')
    wrapped = values(model, build(Wrapped(), layer_decay=DECAY), 'lr')
    alone = values(model.backbone, build(model.backbone, layer_decay=DECAY), 'lr')
    assert wrapped == plain
    start = 'backbone.'
    own = {name: rate for name, rate in plain.items() if name.startswith(start)}
    assert alone == {name.removeprefix(start): rate for name, rate in own.items()}


def test_tokens_are_decayed_when_no_name_is_exempt():
    model = Detector(pos_embed='learned')
    tokens = ('backbone.cls_token', 'backbone.pos_embed')
    free = values(model, build(model), 'weight_decay')
    decayed = values(model, build(model, no_decay_names=()), 'weight_decay')
    assert [free[t] for t in tokens] == [0.0, 0.0]
    assert [decayed[t] for t in tokens] == [WD, WD]


def test_tables_of_relative_positions_are_not_decayed_with_beit_but_with_vitdet():
    found = []
    for kind in (dict(rel_pos_bias=True), dict(attention='rel_pos')):
        model = Detector(**kind)
        decay = values(model, build(model), 'weight_decay')
        tables = [name for name in decay if 'position' in name or 'rel_pos' in name]
        assert len(tables) >= 3
        found.append({decay[name] for name in tables})
    assert found == [{0.0}, {WD}]


def test_shape_rule_can_be_switched_off():
    model = Detector()
    decays = values(model, build(model, no_decay_by_shape=False), 'weight_decay')
    assert decays['head.bias'] == decays['backbone.norm.weight'] == WD
    assert decays['backbone.cls_token'] == 0.0


def test_a_module_can_be_exempt_by_its_name():
    """ViTDet's rule: the norms of the blocks and the positions, and nothing else."""
    model = Detector(pos_embed='learned')
    names = ('norm1', 'norm2', 'pos_embed')
    wrapper = build(model, no_decay_by_shape=False, no_decay_names=names)
    decays = values(model, wrapper, 'weight_decay')
    free = {name for name, decay in decays.items() if not decay}
    kinds = [f'norm{j}.{kind}' for j in (1, 2) for kind in ('weight', 'bias')]
    norms = {f'backbone.blocks.{i}.{kind}' for i in range(3) for kind in kinds}
    assert free == {'backbone.pos_embed'} | norms


def test_extra_factor_follows_the_longest_whole_name():
    model = Detector()
    factors = {'backbone.blocks': 0.1, 'backbone.blocks.2': 3.0, 'head': 10.0}
    wrapper = build(model, layer_decay=DECAY, lr_mult=factors)
    rates = values(model, wrapper, 'lr')
    assert rates['head.weight'] == pytest.approx(10 * LR)
    assert rates['backbone.blocks.2.norm1.weight'] == pytest.approx(3 * LR * DECAY)
    assert rates['backbone.blocks.1.norm1.weight'] == pytest.approx(0.1 * LR * DECAY**2)
    assert rates['backbone.norm.weight'] == LR


def test_groups_keep_their_ratio_under_schedulers_and_scaling():
    model = Detector()
    wrapper = build(model, layer_decay=DECAY)
    before = values(model, wrapper, 'lr')
    for group in wrapper.optimizer.param_groups:
        group['lr'] *= 4  # what Runner.scale_lr does
    scheduler = LinearLR(wrapper, start_factor=0.25, by_epoch=False, end=10)
    assert values(model, wrapper, 'lr') == pytest.approx(before)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    for _ in range(10):
        wrapper.step()
        scheduler.step()
    after = values(model, wrapper, 'lr')
    assert after == pytest.approx({name: 4 * rate for name, rate in before.items()})


@pytest.mark.parametrize(
    ('paramwise', 'named'),
    [
        (dict(layer_decay_rate=0.7), 'layer_decay_rate'),
        (dict(layer_decay=1.5), 'layer_decay'),
        (dict(layer_decay=0.0), 'layer_decay'),
        (dict(lr_mult={'backbone.block': 0.1}), 'backbone.block'),
    ],
)
def test_wrong_values_are_refused_by_name(paramwise, named):
    with pytest.raises(ValueError, match=named):
        build(Detector(), **paramwise)


def test_what_layer_decay_cannot_do_without_is_named():
    with pytest.raises(ValueError, match='layer_id'):
        build(nn.Linear(2, 2), layer_decay=0.5)
    cfg = dict(optimizer=dict(type='AdamW', lr=LR))
    with pytest.raises(ValueError, match='weight_decay'):
        LayerDecayOptimWrapperConstructor(cfg)
