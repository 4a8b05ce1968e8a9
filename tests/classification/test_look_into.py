"""LIO beside the classes: what it adds in training, and that nothing is left of it."""

import copy

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict

LABELS = torch.tensor([0, 0, 2, 2])
LIO = dict(
    type='ccmim.LookIntoObject',
    extent=dict(type='ccmim.ObjectExtent'),
    context=dict(type='ccmim.SpatialContext', dim=8),
)


@pytest.fixture
def tiny_lio(tiny_classifier):
    """Build a tiny classifier that looks into objects."""
    return lambda **changes: tiny_classifier(**{'extra': LIO, **changes})


@pytest.mark.parametrize('pool', ['average', 'class'])
def test_its_losses_stand_beside_the_classification(tiny_lio, images, pool):
    model = tiny_lio(pool=pool)
    losses = model(images, labels=LABELS, mode='loss')
    assert losses['with_partner'] == 1
    expected = torch.nn.functional.cross_entropy(model(images), LABELS)
    torch.testing.assert_close(losses['loss_classification'], expected)
    patches = model.backbone.encode(model.backbone.embed(images))[:, 1:]
    extent, loss, _ = model.extra.extent(patches, LABELS)
    torch.testing.assert_close(losses['loss_extent'], loss)
    loss = model.extra.context(patches, (4, 4), extent)
    torch.testing.assert_close(losses['loss_context'], loss)
    sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
    unused = {'backbone.norm.weight', 'backbone.norm.bias'}
    for name, parameter in model.named_parameters():
        assert name in unused or parameter.grad.any(), name


def test_the_extent_is_no_way_for_the_gradient_of_the_context(tiny_lio, images):
    model = tiny_lio()
    losses = model.loss(images, LABELS)
    weight = model.extra.extent.layer.weight
    options = dict(allow_unused=True, retain_graph=True)
    (found,) = torch.autograd.grad(losses['loss_context'], weight, **options)
    assert found is None
    assert torch.autograd.grad(losses['loss_extent'], weight)[0].any()


def test_either_part_stands_alone(tiny_lio, images):
    for left_out, found in (('context', 'extent'), ('extent', 'context')):
        model = tiny_lio(extra=dict(LIO, **{left_out: None}))
        losses = model.loss(images, LABELS)
        assert {'loss_classification', f'loss_{found}'} <= losses.keys()
        assert f'loss_{left_out}' not in losses


def test_a_plain_classifier_loads_the_checkpoint(tiny_lio, tiny_classifier, images):
    """Strictly, by PyTorch and by mmengine, and predicts the same."""
    trained = tiny_lio()
    state = trained.state_dict()
    assert [name for name in state if name.startswith('extra.')]
    for load in (
        lambda model: model.load_state_dict(state),
        lambda model: load_state_dict(model, state, strict=True),
    ):
        plain = tiny_classifier()
        load(plain)
        assert torch.equal(plain(images), trained(images))
    del state['head.fc.bias']
    with pytest.raises(RuntimeError, match=r'head\.fc\.bias'):
        tiny_classifier().load_state_dict(state)


def test_what_cannot_stand_beside_it_is_refused_in_a_line(tiny_lio):
    mixing = dict(type='ccmim.BatchMixing')
    none = dict(LIO, extent=dict(type='ccmim.ObjectExtent', partners=0))
    for wrong, message in (
        (dict(mixing=dict(mixing, mixup=0.8)), 'set model.mixing.mixup=0 and'),
        (dict(mixing=dict(mixing, cutmix=1.0)), 'mixup and cutmix put two into one'),
        (dict(frozen=True), 'would train nothing, as frozen=True'),
        (dict(extra=dict(type='ccmim.LookIntoObject')), 'neither extent nor context'),
        (dict(extra=none), 'partners=0 must be a whole number from 1'),
    ):
        with pytest.raises(ValueError, match=message) as error:
            tiny_lio(**wrong)
        assert '\n' not in str(error.value)
    tiny_lio(mixing=dict(mixing, erase_prob=0.5, label_smoothing=0.1))


def test_bf16_is_close_to_float32_and_a_step_is_the_mean_of_its_parts(tiny_lio, images):
    """Each group is whole in a part: accumulating two is one step of both."""
    model = tiny_lio()
    whole = model.loss(images, LABELS)
    with torch.autocast('cpu', torch.bfloat16):
        half = copy.deepcopy(model).loss(images, LABELS)
    parts = [model.loss(images[i : i + 2], LABELS[i : i + 2]) for i in (0, 2)]
    for name in ('loss_classification', 'loss_extent', 'loss_context'):
        assert half[name].dtype == torch.float32
        assert half[name].item() == pytest.approx(whole[name].item(), rel=0.03)
        mean = (parts[0][name] + parts[1][name]) / 2
        torch.testing.assert_close(mean, whole[name])
