"""Anchors are what their papers say, and hold on to the weights of the first step."""

import copy
import itertools
import math
from functools import partial

import pytest
import torch
from mmengine.logging import MessageHub

from ccmim.losses import GramAnchor, KernelAnchor, gram_distance, kernel_alignment
from ccmim.masking import TokenSplit
from tests import tiny_methods
from tests.methods.oracles import assert_same_gradients


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
    turned = 0.1 * x @ rotation
    assert gram_distance(turned, x).item() == pytest.approx(0, abs=1e-12)
    assert kernel_alignment(turned, x).tolist() == pytest.approx([1, 1])
    shifted = turned + torch.tensor([5.0, 0, 0, 1]).double()
    assert kernel_alignment(shifted, x).tolist() == pytest.approx([1, 1])
    assert gram_distance(shifted, x).item() > 0.1
    alike = torch.ones(1, 9, 4).requires_grad_()
    kernel_alignment(alike, x[:1].float()).sum().backward()
    assert torch.isfinite(alike.grad).all()


def _slow_gram(x, y, least=-1.0):
    """Compare pair by pair, of one image."""
    total = 0.0
    for i, j in itertools.product(range(len(x)), repeat=2):
        a, b = (t[i] @ t[j] / (t[i].norm() * t[j].norm()) for t in (x, y))
        total = total + (a.clamp(min=least) - b.clamp(min=least)) ** 2
    return total / len(x) ** 2


def _slow_kernel(x, y):
    """By Gretton's centering matrix."""
    center = torch.eye(len(x)).to(x) - 1 / len(x)
    k, l = (center @ t @ t.T @ center for t in (x, y))  # noqa: E741
    alignments = [torch.trace(a @ b) for a, b in ((k, l), (k, k), (l, l))]
    return 1 - alignments[0] / (alignments[1] * alignments[2]).sqrt()


ANCHORS = [
    (GramAnchor, _slow_gram),
    (partial(GramAnchor, keep_negative=False), partial(_slow_gram, least=0.0)),
    (KernelAnchor, _slow_kernel),
]


def _shake(backbone):
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


@pytest.mark.parametrize(('make', 'slow'), ANCHORS, ids=['gram', 'clamped', 'kernel'])
def test_it_holds_on_to_the_weights_of_the_first_step(tiny_vit, images, make, slow):
    """As slow loops do; however they came there; a resumed run as well."""
    torch.manual_seed(2)
    backbone, images = tiny_vit().double(), images.double()
    anchor = make(backbone, weight=2.0)
    _shake(backbone)  # as a checkpoint does, loaded after all is built
    begin = copy.deepcopy(backbone)
    assert anchor(backbone, images).item() == pytest.approx(0, abs=1e-6)
    _shake(backbone)
    loss = anchor(backbone, images)
    assert loss.item() > 1e-3
    ours, theirs = (net.encode(net.embed(images))[:, 1:] for net in (backbone, begin))
    expected = 2 * sum(map(slow, ours, theirs.detach())) / len(images)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert_same_gradients(backbone, loss, expected)
    assert all(p.grad is None for p in anchor.parameters())

    resumed = make(tiny_vit().double(), weight=2.0)
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


def _slow_bicubic(x, side):
    """Keys' kernel of a = -0.75, one weight at a time; edges are repeated."""
    old = x.shape[-1]
    matrix = torch.zeros(side, old)
    for i in range(side):
        center = (i + 0.5) * old / side - 0.5
        for j in range(math.floor(center) - 1, math.floor(center) + 3):
            d = abs(center - j)
            near, far = (1.25 * d - 2.25) * d * d + 1, ((d - 5) * d + 8) * d - 4
            matrix[i, min(max(j, 0), old - 1)] += near if d <= 1 else -0.75 * far
    return matrix @ x @ matrix.T


def test_larger_images_for_the_frozen_network(tiny_vit, images):
    """Its maps come back to the grid of the other; at scale 1 nothing is resampled."""
    torch.manual_seed(5)
    backbone = tiny_vit().eval()
    same, large = (GramAnchor(backbone, scale=scale) for scale in (1.0, 2.0))
    assert same(backbone, images).item() == pytest.approx(0, abs=1e-6)
    tokens = backbone.encode(backbone.embed(_slow_bicubic(images, 128)))[:, 1:]
    expected = _slow_bicubic(tokens.transpose(1, 2).unflatten(2, (8, 8)), 4)
    found = large.start(backbone, images).transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('make', [GramAnchor, KernelAnchor])
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


@pytest.mark.parametrize(
    'name', ['mae', 'ccmim', 'conmim', 'hpm', 'maskdistill', 'simmim']
)
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
    split = next(x for x in seen if isinstance(x, TokenSplit))
    encoded = next(x for x in seen if isinstance(x, torch.Tensor))
    theirs = model.anchor.start(model.backbone, batch)
    total = []
    for image, ids in enumerate(split.ids_visible.tolist()):
        ours = encoded[image, 1 : 1 + len(ids)]
        total.append(gram_distance(ours[None], theirs[image, ids][None]).item())
    assert losses['loss_anchor'].item() == pytest.approx(3 * sum(total) / len(total))
    assert losses['loss_anchor'].item() > 1e-3


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
