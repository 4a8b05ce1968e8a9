"""What holds for every pretraining method alike."""

import copy
import math
from contextlib import nullcontext

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import load_checkpoint
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ccmim.checkpoints import load_backbone
from ccmim.losses import ObjectExtent, SpatialContext
from ccmim.teachers import EMATeacher
from tests import tiny_methods
from tests.methods.oracles import drawn, on_pixels


class _HostReads(TorchDispatchMode):
    """Collects what makes the host wait for the device."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(name in str(func) for name in ('local_scalar_dense', 'nonzero')):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=tiny_methods.with_extras())
def model(request):
    """A tiny model of each method that has a small config, and with each extra part."""
    return tiny_methods.build(request.param)


@pytest.fixture
def batch(model):
    """What the method takes."""
    return tiny_methods.batch(model)


def test_a_step_reads_nothing_from_the_device(model, batch):
    with _HostReads() as reads:
        losses = model(batch, mode='loss')
        total = sum(v for k, v in losses.items() if k.startswith('loss_'))
        total.backward()
    assert reads.seen == []
    assert torch.equal(model.parse_losses(losses)[0], total)  # what else is watched
    assert not any(v.requires_grad for k, v in losses.items() if 'loss' not in k)
    with reads:
        next(iter(losses.values())).item()  # the control: it can fail
    assert len(reads.seen) == 1


@pytest.mark.parametrize('name', tiny_methods.with_extras())
def test_linear_layers_begin_as_xavier_draws_them(name, monkeypatch):
    """And without biases; those that look into objects beside classes as well."""
    monkeypatch.setattr(tiny_methods, 'unsettled', lambda model: model)
    parts = tiny_methods.build(name), ObjectExtent(), SpatialContext()
    for layer in (layer for part in parts for layer in part.modules()):
        if isinstance(layer, torch.nn.Linear):
            bound = (6 / sum(layer.weight.shape)) ** 0.5
            assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.1)
            assert layer.bias is None or not layer.bias.any()


def test_the_step_seed_is_all_the_randomness(model, batch):
    """In evaluation, in which nothing moves: the same seed gives the same bits."""
    model.eval()
    with torch.no_grad():
        model.backbone.norm.weight.add_(1.0)  # which a teacher would follow
    state, values = copy.deepcopy(model.state_dict()), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(model(batch, mode='loss'))
    one, again, other = ([*v.values()][0].item() for v in values)
    assert one == again != other
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


class _StaleCasts(TorchFunctionMode):
    """Collects operations after which autocast may keep a weight's cast without graph.

    torch 2.11 no longer keeps them, so that missing gradients show on older ones only.
    """

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        trained = any(
            isinstance(a, torch.nn.Parameter) and a.requires_grad for a in args
        )
        kept = torch.is_autocast_enabled('cpu') and torch.is_autocast_cache_enabled()
        if trained and kept and not torch.is_grad_enabled():
            self.seen.append(func)
        return func(*args, **(kwargs or {}))


def _check_bf16_gradients(model, images):
    """Each is there and near float32's, or both are next to nothing."""
    gradients, splits = [], []
    for enabled in (False, True):
        torch.manual_seed(3)
        one = copy.deepcopy(model)  # a step may move its state
        if hasattr(one, 'sampler'):  # scores that are rounded order patches otherwise
            keep = lambda *a: splits.append(a[-1]) or splits[0]  # noqa: E731
            one.sampler.register_forward_hook(keep)
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled), _StaleCasts() as s:
            losses = one(images, mode='loss')
        assert s.seen == []
        assert all(value.dtype == torch.float32 for value in losses.values())
        sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
        trained = {n: p.grad for n, p in one.named_parameters() if p.requires_grad}
        assert [n for n, g in trained.items() if g is None] == []
        gradients.append(trained)
    noise = 3e-3 * max(g.norm() for g in gradients[0].values())
    for name, wide in gradients[0].items():
        assert (gradients[1][name] - wide).norm() < 0.4 * wide.norm() + noise, name


def test_every_trained_parameter_has_float32s_gradient_in_bf16(model, batch):
    """In float32 too none is missing: distributed training does not search for them."""
    _check_bf16_gradients(model, batch)


WHOLE = ('amt_simmim', 'conmim', 'densecl', 'maskdistill', 'neco')
WHOLE += ('relational_distill', 'simclr', 'simmim', 'soho')


@pytest.mark.parametrize('name', tiny_methods.names())
def test_methods_that_need_no_dropped_patches_take_rotary_positions(name):
    """Those that docs/own_data.md names."""
    parts = tiny_methods.tiny_config(name).model
    changes = dict(backbone=dict(parts.backbone, pos_embed='rotary'))
    if name == 'neco':
        with pytest.raises(ValueError, match=r'set model.crops.num_local=0'):
            tiny_methods.build(name, **changes)
        changes['crops'] = dict(parts.crops, num_local=0)
    model = tiny_methods.build(name, **changes)
    with nullcontext() if name in WHOLE else pytest.raises(ValueError, match='mask'):
        model.loss(tiny_methods.batch(model))


def _load_by_init_cfg(model, file):
    model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file))
    model.init_weights()


AVERAGED = ['conmim', 'densecl', 'hpm', 'neco', 'soho']
LOADS = dict(
    init_cfg=_load_by_init_cfg,
    load_from=lambda model, file: load_checkpoint(model, str(file), strict=False),
    load_backbone=lambda model, file: load_backbone(model.backbone, file),
)


@pytest.mark.parametrize('load', LOADS.values(), ids=LOADS)
@pytest.mark.parametrize('method', AVERAGED)
def test_an_averaged_copy_begins_like_what_was_loaded(
    request, images, tiny_vit, tmp_path, method, load
):
    """However it was loaded; unless the file holds the copy too."""
    build, given = request.getfixturevalue(f'tiny_{method}'), tiny_vit().state_dict()
    state = {f'backbone.{name}': value for name, value in given.items()}
    torch.save(dict(state_dict=state), tmp_path / 'x.pth')
    model = build()
    load(model, tmp_path / 'x.pth')
    model.loss(images)
    for name, value in model.teacher.backbone.state_dict().items():
        assert torch.equal(value, given[name]), name
    fast, slow = getattr(model, 'predictor', None), model.teacher.projector
    fast = fast or model.projector
    for a, b in zip(fast.parameters(), slow.parameters(), strict=True):
        assert torch.equal(a, b)

    with torch.no_grad():
        model.teacher.backbone.cls_token.add_(1.0)
    again = build(teacher=dict(momentum=1.0))
    again.load_state_dict(model.state_dict())
    again.loss(images)
    ours, theirs = again.teacher.backbone.cls_token, model.teacher.backbone.cls_token
    assert torch.equal(ours, theirs)


def test_each_averaged_copy_is_held_to_this():
    models = {name: tiny_methods.build(name) for name in tiny_methods.names()}
    teachers = {n: getattr(model, 'teacher', None) for n, model in models.items()}
    assert [n for n, t in teachers.items() if isinstance(t, EMATeacher)] == AVERAGED


@pytest.mark.parametrize('method', AVERAGED)
@pytest.mark.parametrize(
    ('step', 'last'), [(0, 1.0), (1, 0.95), (50, 1.0), (50, 0.95), (100, 0.9)]
)
def test_an_averaged_copy_follows_by_a_momentum_of_the_step(
    request, images, method, step, last
):
    """slow = m slow + (1 - m) fast; m from 0.9 to its last as a half cosine."""
    teacher = dict(momentum=0.9, last_momentum=last)
    model = request.getfixturevalue(f'tiny_{method}')(teacher=teacher)
    model.teacher.started = True
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.0 if name.startswith('teacher.') else 1.0)
    before = [p.clone() for p in model.teacher.parameters()]
    hub = MessageHub.get_current_instance()
    hub.update_info_dict(dict(iter=step, max_iters=100))
    model.loss(images)
    # Step t was updated with the momentum of the step before it.
    done = max(step - 1, 0) / 100
    share = 1 - last + (last - 0.9) * (math.cos(math.pi * done) + 1) / 2
    for old, new in zip(before, model.teacher.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, share))


@pytest.mark.parametrize(
    'scorer',
    [
        dict(type='ccmim.ClassAttentionScorer'),
        dict(type='ccmim.ClassAttentionScorer', blocks=[-1], direction='column'),
        dict(type='ccmim.NormalizedAttentionScorer'),
        dict(type='ccmim.CentralityScorer', centrality='pagerank'),
    ],
)
def test_no_scorer_takes_a_gradient_away(tiny_mae, images, scorer):
    model = tiny_mae(scorer=scorer, sampler=dict(type='ccmim.TopKSampler'))
    _check_bf16_gradients(model, images)


@pytest.mark.parametrize(
    ('method', 'part'),
    [('simmim', 'decoder'), ('maskdistill', 'decoder'), ('conmim', 'projector')],
)
def test_hidden_pixels_do_not_reach_the_prediction(request, images, method, part):
    """They reach what is to be predicted, and the others reach both."""
    model = request.getfixturevalue(f'tiny_{method}')()
    seen = drawn(model)
    model.get_submodule(part).register_forward_hook(lambda *a: seen.update(pred=a[-1]))

    def step(images):
        torch.manual_seed(3)
        return model.parse_losses(model.loss(images))[0].item(), seen['pred']

    loss, pred = step(images)
    hidden, noise = on_pixels(seen['split'].mask), torch.randn_like(images)
    other, same = step(images + hidden * noise)
    assert other != loss
    assert torch.equal(same, pred)
    assert not torch.equal(step(images + ~hidden * noise)[1], pred)


def test_each_method_is_held_to_this():
    """A new one needs a config in mm_configs/small, and nothing else."""
    assert tiny_methods.kinds() == tiny_methods.registered()


@pytest.mark.parametrize('name', tiny_methods.names())
def test_any_method_takes_an_anchor(name):
    """Its loss stands beside the others; the frozen copy is saved and never trained."""
    anchor = dict(type='ccmim.GramAnchor', weight=3.0)
    model = tiny_methods.build(name, anchor=anchor)
    images = tiny_methods.batch(model)
    torch.manual_seed(0)
    first = model(images, mode='loss')
    assert first['loss_anchor'].item() == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        model.backbone.blocks[0].mlp.fc2.weight.normal_()
    torch.manual_seed(0)
    losses = model(images, mode='loss')
    assert losses.keys() == first.keys()
    assert losses['loss_anchor'] > 1e-3
    sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
    frozen = [p for n, p in model.named_parameters() if n.startswith('anchor.')]
    assert frozen
    assert not any(p.requires_grad for p in frozen)


@pytest.mark.parametrize(
    ('method', 'wrong', 'message'),
    [
        ('ccmim', dict(mask_ratio=0.99), 'mask_ratio=0.99 leaves 0 of 16'),
        ('ccmim', dict(contrast_weight=-1.0), 'contrast_weight=-1.0'),
        ('amt_mae', dict(mask_ratio=0.99), 'mask_ratio=0.99 leaves 0 of 16'),
        ('hpm', dict(mask_ratio=0.99), 'mask_ratio=0.99 leaves 0 of 16'),
        ('densecl', dict(cells=3), 'cells=3 must divide'),
        ('maskdistill', dict(mask_ratio=0.99), 'mask_ratio=0.99 leaves 0 of 16'),
        ('maskdistill', {'sampler.img_size': 128}, 'BlockSampler gives 64 patches'),
        ('conmim', dict(mask_ratio=0.9), 'mask_ratio=0.9 leaves 0 of 4'),
        ('conmim', {'teacher.momentum': 1.5}, 'ConMIM: teacher.momentum=1.5 must be'),
        ('conmim', {'teacher.interwal': 0}, 'unknown key ConMIM: teacher.interwal'),
        ('simmim', dict(mask_ratio=0.9), 'mask_ratio=0.9 leaves 0 of 4'),
        ('simmim', {'sampler.unit_size': 24}, 'unit_size=24 must be a multiple'),
        ('simmim', {'sampler.unit_size': 48}, 'unit_size=48 .* divide img_size=64'),
        ('simmim', {'sampler.img_size': 128}, 'MaskUnitSampler gives 64 patches'),
        ('simmim', {'reconstruction.error': 'l1'}, "error='l1'"),
        ('flip', dict(mask_ratio=0.99), 'mask_ratio=0.99 leaves 0 of 16'),
        ('flip', {'text_tower.num_words': 9}, 'text_tower.num_words=9 must be the 48'),
        ('flip', {'text_tower.pool': 'last'}, "pool='last' must be 'first' or 'avera"),
        ('flip', {'text_tower.num_heads': 5}, 'num_heads=5 must divide embed_dim=24'),
        ('neco', dict(cells=5), 'cells=5 are more than there are patches, 4 x 4'),
        ('neco', {'order.num_new': 17}, 'order.num_new=17 are more than there are'),
        ('neco', {'order.num_references': 1}, 'num_references=1 must be a whole numb'),
        ('neco', {'order.dim': 3}, 'dim=3 of ccmim.NeighborOrder does not fit the'),
        ('soho', {'dictionary.dim': 9}, 'dim=9 of ccmim.VisualDictionary does not f'),
        ('soho', {'dictionary.decay': 1.0}, 'decay=1.0 must be a number above 0 and'),
        ('soho', dict(mask_ratio=0.9), 'mask_ratio=0.9 leaves 0 of 4'),
    ],
)
def test_impossible_settings_are_named(request, method, wrong, message):
    build = request.getfixturevalue(f'tiny_{method}')
    with pytest.raises(ValueError, match=message):
        build(**wrong)
