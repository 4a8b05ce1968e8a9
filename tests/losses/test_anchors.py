"""Anchors are what their papers say, and hold on to the weights of the first step."""

import copy

import pytest
import torch
from mmengine.logging import MessageHub

from ccmim.losses import GramAnchor, KernelAnchor, gram_distance, kernel_alignment
from ccmim.masking import TokenSplit
from tests import tiny_methods


def _features():
    i = torch.arange(2 * 5 * 3, dtype=torch.float32)
    return torch.sin(i).view(2, 5, 3), torch.cos(1.7 * i + 0.3).view(2, 5, 3)


# By facebookresearch/dinov3 at 50d3e0c, dinov3/loss/gram_loss.py, GramLoss(remove_neg):
# the loss of _features() and its gradient at the first patch.
@pytest.mark.parametrize(
    ('keep_negative', 'loss', 'gradient'),
    [
        (False, 0.34580039978, [-0.038473822, -0.019179247, 0.017748632]),
        (True, 1.40122461319, [-0.066309199, -0.033055216, 0.030589551]),
    ],
)
def test_gram_distance_is_that_of_the_published_code(keep_negative, loss, gradient):
    x, y = _features()
    x.requires_grad_()
    found = gram_distance(x, y, keep_negative)
    found.backward()
    assert found.item() == pytest.approx(loss, abs=1e-6)
    assert x.grad[0, 0].tolist() == pytest.approx(gradient, abs=1e-7)


def test_kernel_alignment_is_that_of_the_published_code():
    """By lightly-ai/lightly at 04194a6, patch_kernel_alignment_loss.py: 1 - CKA."""
    x, y = _features()
    x.requires_grad_()
    loss = (1 - kernel_alignment(x, y)).mean()
    loss.backward()
    assert loss.item() == pytest.approx(0.9414746761, abs=1e-6)
    gradient = [0.0026317178, -0.020998795, -0.02532311]
    assert x.grad[0, 0].tolist() == pytest.approx(gradient, abs=1e-7)


def test_what_the_losses_do_not_see():
    """Both: rotation and scale of all; the kernel also a shift; the Gram not that."""
    torch.manual_seed(1)
    x = torch.randn(2, 9, 4).double()
    rotation = torch.linalg.qr(torch.randn(4, 4).double())[0]
    turned = 3 * x @ rotation
    assert gram_distance(turned, x).item() == pytest.approx(0, abs=1e-12)
    assert kernel_alignment(turned, x).tolist() == pytest.approx([1, 1])
    shifted = turned + torch.tensor([5.0, 0, 0, 1]).double()
    assert kernel_alignment(shifted, x).tolist() == pytest.approx([1, 1])
    assert gram_distance(shifted, x).item() > 0.1
    alike = torch.ones(1, 9, 4).requires_grad_()
    kernel_alignment(alike, x[:1].float()).sum().backward()
    assert torch.isfinite(alike.grad).all()


@pytest.fixture(params=[GramAnchor, KernelAnchor])
def make(request):
    return request.param


def _shake(backbone):
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


def test_it_holds_on_to_the_weights_of_the_first_step(tiny_vit, images, make):
    """However they came there; later steps pull towards them; a resumed run as well."""
    torch.manual_seed(2)
    backbone = tiny_vit()
    anchor = make(backbone, weight=2.0)
    _shake(backbone)  # as a checkpoint does, loaded after all is built
    begin = copy.deepcopy(backbone)
    assert anchor(backbone, images).item() == pytest.approx(0, abs=1e-6)
    _shake(backbone)
    loss = anchor(backbone, images)
    assert loss.item() > 1e-3
    ours, theirs = (net.encode(net.embed(images))[:, 1:] for net in (backbone, begin))
    if make is GramAnchor:
        expected = 2 * gram_distance(ours, theirs)
    else:
        expected = 2 * (1 - kernel_alignment(ours, theirs)).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert all(p.grad is None for p in anchor.parameters())
    gradient = backbone.blocks[0].mlp.fc1.weight.grad
    assert gradient.norm() > 0

    resumed = make(tiny_vit(), weight=2.0)
    resumed.load_state_dict(anchor.state_dict())
    assert resumed(backbone, images).item() == loss.item()


def test_it_is_renewed(tiny_vit, images):
    torch.manual_seed(3)
    backbone = tiny_vit()
    anchor = GramAnchor(backbone, renew_interval=3)
    hub = MessageHub.get_current_instance()
    losses = []
    for step in range(7):
        hub.update_info('iter', step)
        losses.append(anchor(backbone, images).item())
        _shake(backbone)
    assert [loss < 1e-6 for loss in losses] == [True, False, False] * 2 + [True]


def test_larger_images_for_the_frozen_network(tiny_vit, images):
    """Its maps come back to the grid of the other; at scale 1 nothing is resampled."""
    backbone = tiny_vit().eval()
    same, large = (GramAnchor(backbone, scale=scale) for scale in (1.0, 2.0))
    assert same(backbone, images).item() == pytest.approx(0, abs=1e-6)
    tokens = large.start(backbone, images)
    assert tokens.shape == backbone.encode(backbone.embed(images))[:, 1:].shape
    constant = torch.ones_like(images)
    theirs = large.start(backbone, constant)
    assert torch.isfinite(theirs).all()
    assert large(backbone, images).item() > 1e-4


def test_it_is_float32_under_autocast(tiny_vit, images, make):
    torch.manual_seed(4)
    backbone = tiny_vit()
    anchor = make(backbone)
    anchor(backbone, images)
    _shake(backbone)
    exact = anchor(backbone, images)
    with torch.autocast('cpu', torch.bfloat16):
        rough = anchor(backbone, images)
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.1)


@pytest.mark.parametrize('name', ['mae', 'ccmim', 'simmim'])
def test_visible_patches_are_compared_with_themselves_in_the_whole_image(name):
    """Of a method that drops masked patches, and of one that has tokens for them."""
    part = dict(type='GramAnchor', weight=3.0, visible_only=True)
    model = tiny_methods.build(name, anchor=part)
    batch, seen = tiny_methods.batch(model), []
    model.loss(batch)  # the anchor takes the weights
    _shake(model.backbone)
    encode = model.backbone.encode
    model.backbone.encode = lambda *a, **k: seen.append(encode(*a, **k)) or seen[-1]
    model.sampler.register_forward_hook(lambda *a: seen.append(a[-1]))
    losses = model(batch, mode='loss')
    split, encoded = (next(x for x in seen if isinstance(x, k)) for k in KINDS)
    theirs = model.anchor.start(model.backbone, batch)
    total = []
    for image, ids in enumerate(split.ids_visible.tolist()):
        ours = encoded[image, 1 : 1 + len(ids)]
        total.append(gram_distance(ours[None], theirs[image, ids][None]).item())
    assert losses['loss_anchor'].item() == pytest.approx(3 * sum(total) / len(total))
    assert losses['loss_anchor'].item() > 1e-3


KINDS = TokenSplit, torch.Tensor


def test_both_views_of_an_image_are_images():
    model = tiny_methods.build('simclr', anchor=dict(type='GramAnchor'))
    batch = tiny_methods.batch(model)
    model.anchor(model.backbone, batch[:, :, :128])
    _shake(model.backbone)
    views = [model.anchor(model.backbone, view) for view in batch.chunk(2, dim=2)]
    found = model.with_anchor({}, batch)['loss_anchor']
    assert found.item() == pytest.approx(sum(views).item() / 2, rel=1e-5)


def test_an_anchor_that_has_nothing_to_hold_is_refused(tiny_vit):
    with pytest.raises(ValueError, match='visible_only=True needs masks, and SimCLR'):
        tiny_methods.build('simclr', anchor=dict(type='GramAnchor', visible_only=True))
    with pytest.raises(ValueError, match='anchor.scale=2.0 must be 1'):
        GramAnchor(tiny_vit(pos_embed='rotary'), scale=2.0)
    with pytest.raises(ValueError, match='anchor.scale=1.3 makes no whole patches'):
        GramAnchor(tiny_vit(), scale=1.3)
