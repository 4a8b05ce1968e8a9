"""LIO's extent and context against slow oracles, and what they may not do."""

import json
import math
from pathlib import Path

import pytest
import torch

from ccmim.losses import ObjectExtent, SpatialContext, likeness
from ccmim.losses.spatial_context import seen_from
from tests.golden import record_family as recorder

GOLDEN = Path(__file__).parents[1] / 'golden'


def _normed(x):
    return (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()


def _slow_extent(part, patches, labels):
    """Image by image, patch by patch; partners are the next ones of the class."""
    count, total, extents = len(labels), 0.0, []
    z = [[_normed(x) for x in image] for image in patches]
    for i in range(count):
        after = [(i + k) % count for k in range(1, count)]
        own = [j for j in after if labels[j] == labels[i]][: part.partners]
        extents.append([part.layer.weight @ x + part.layer.bias for x in z[i]])
        for x, seen in zip(z[i], extents[i], strict=True):
            if own:
                alike = [max(x @ y / len(x) for y in z[j]) for j in own]
                target = sum(alike) / len(own)
                target = target if part.through_target else target.detach()
                total = total + (seen - target) ** 2 / (count * len(z[i]))
    return extents, part.weight * total


def _slow_context(part, patches, grid, extents, norm=_normed, with_anchor=False):
    """Published, where the anchor sees itself too: all seen from it, in polar terms."""
    height, width = grid
    places = [(i, j) for i in range(height) for j in range(width)]
    total = 0.0
    for image, extent in zip(patches, extents, strict=True):
        s = [part.structure(norm(x)).clamp(min=0) for x in image]
        mean = sum(extent) / len(extent)
        inside = [float(e > mean) for e in extent]
        means = [v.mean().item() * e for v, e in zip(s, inside, strict=True)]
        a = means.index(max(means))
        errors, turns = [], {}
        for n, (i, j) in enumerate(places):
            down, right = (i - places[a][0]) / max(grid), (j - places[a][1]) / max(grid)
            distance, turn = part.place(torch.cat([s[a], s[n]]))
            errors.append((distance - math.hypot(down, right)) ** 2 * (n != a))
            turn = turn if n != a else 0.0  # as published
            if n != a or with_anchor:
                gap = turn - (math.atan2(right, down) / math.pi + 1) / 2
                turns[n] = gap + 1 if gap < 0 else gap
        middle = sum(turns.values()) / len(turns)
        for n, turn in turns.items():
            total = total + inside[n] * (errors[n] + (turn - middle) ** 2)
    return part.weight * total / (len(patches) * len(places))


@pytest.mark.parametrize('through_target', [False, True])
def test_against_a_slow_oracle(through_target):
    """float64, a grid of 2 x 3: losses within 1e-12, gradients within 1e-10."""
    torch.manual_seed(0)
    labels = torch.tensor([1, 0, 1, 1, 2, 1])  # two images have no partner
    patches = torch.randn(6, 6, 5, dtype=torch.float64, requires_grad=True)
    extent = ObjectExtent(5, 2, through_target, weight=0.3).double()
    context = SpatialContext(5, 7, weight=0.2).double()
    with torch.no_grad():  # predictions on the circle, as published code wants them
        context.place.weight *= 0.1
        context.place.bias += 0.5
    found, loss_extent, seen = extent(patches, labels)
    where = found.detach().clone()
    where[0] = torch.tensor([0.0, 1, 2, 1, 1, 1])  # the mean itself is not above it
    loss_context = context(patches, (2, 3), where)
    slow, slow_extent = _slow_extent(extent, patches, labels.tolist())
    slow_context = _slow_context(context, patches, (2, 3), where.tolist())
    assert seen.item() == pytest.approx(4 / 6)
    for image, row in zip(found, slow, strict=True):
        assert image.tolist() == pytest.approx([x.item() for x in row], abs=1e-12)
    values = [patches, *extent.parameters(), *context.parameters()]
    for ours, theirs in ((loss_extent, slow_extent), (loss_context, slow_context)):
        assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
        pairs = (
            torch.autograd.grad(x, values, retain_graph=True, materialize_grads=True)
            for x in (ours, theirs)
        )
        for a, b in zip(*pairs, strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def test_against_the_published_code():
    """Recorded by tests/golden/record_family.py, from groups in its order."""
    recorded = json.loads((GOLDEN / 'family_published.json').read_text())['lio']
    count, side = 1 + recorder.PARTNERS, recorder.SIDE
    shape = recorder.GROUPS * count, recorder.WIDTH, side, side
    patches = recorder.wave(1, *shape).flatten(2).transpose(1, 2)
    labels = torch.arange(recorder.GROUPS).repeat_interleave(count)
    found, _ = likeness(patches, labels, recorder.PARTNERS)
    theirs = torch.tensor(recorded['likeness'], dtype=torch.float64).flatten(1)
    torch.testing.assert_close(found, theirs, atol=1e-12, rtol=0)
    extents = torch.tensor(recorded['extent'], dtype=torch.float64).flatten(1)
    error = (extents - found).square().mean()
    assert error.item() == pytest.approx(recorded['extent_error'], abs=1e-12)
    part = SpatialContext(recorder.WIDTH, recorder.STRUCTURE, weight=1.0).double()
    with torch.no_grad():
        for i, parameter in enumerate(part.parameters()):
            parameter.copy_(0.3 * recorder.wave(2 + i, *parameter.shape))
        part.place.weight *= 0.05
        part.place.bias.fill_(0.5)
    slow = _slow_context(
        part, patches, (side, side), extents.tolist(), torch.relu, with_anchor=True
    )
    # Places are float32 there.
    assert slow.item() == pytest.approx(recorded['context'], abs=1e-8)


def test_images_are_compared_with_those_of_their_class():
    """A patch of a class alone is like no other class's, in whatever order they come.

    The published code takes neighbors in the batch for one group, which an anchor of
    each class followed by all first partners is not: it finds nothing alike.
    """
    classes = torch.arange(4)
    batch = torch.cat([classes, classes.repeat_interleave(3)[torch.randperm(12)]])
    patches = torch.eye(4)[batch][:, None].repeat(1, 2, 1)  # (16, 2, 4)
    found, has_partner = likeness(patches, batch, 3)
    torch.testing.assert_close(found, torch.full((16, 2), 1 / 4))
    assert has_partner.all()
    alone, none = likeness(patches[:4], classes, 3)
    assert not alone.any()
    assert not none.any()


def test_the_mean_over_partners_and_the_best_over_patches():
    """By hand: width 1, two patches an image, three images of a class."""
    patches = torch.tensor([[1.0, 2.0], [3.0, -1.0], [5.0, 4.0]])[..., None]
    found, _ = likeness(patches, torch.zeros(3), 2)
    torch.testing.assert_close(found[0], torch.tensor([(3 + 5) / 2, (6 + 10) / 2]))
    torch.testing.assert_close(found[1, 1], torch.tensor((-4 + -1) / 2))
    first, _ = likeness(patches, torch.zeros(3), 1)  # the last is followed by the first
    torch.testing.assert_close(first[0], torch.tensor([3.0, 6.0]))
    torch.testing.assert_close(first[2], torch.tensor([10.0, 8.0]))


def test_places_by_hand():
    distance, angle = seen_from(torch.tensor([[4], [0]]), (3, 3))
    root = math.sqrt(2) / 3
    side = 1 / 3
    expected = [root, side, root, side, 0, side, root, side, root]
    assert distance[0].tolist() == pytest.approx(expected)
    expected = [1 / 8, 1, 7 / 8, 1 / 4, 1 / 2, 3 / 4, 3 / 8, 1 / 2, 5 / 8]
    assert angle[0].tolist() == pytest.approx(expected)
    assert distance[1, 8].item() == pytest.approx(2 * root)


def test_a_turn_of_all_directions_changes_nothing():
    torch.manual_seed(0)
    part, patches = SpatialContext(5, 7).double(), torch.randn(2, 9, 5).double()
    before = part(patches, (3, 3))
    with torch.no_grad():
        part.place.weight[1] = 0  # as if every direction were told alike
        part.place.bias[1] = 0.5
        alike = part(patches, (3, 3))
        part.place.bias[1] += 1.0
    torch.testing.assert_close(part(patches, (3, 3)), alike)
    assert before != alike


def test_no_object_is_no_loss():
    part = SpatialContext(5, 7)
    loss = part(torch.zeros(0, 9, 5), (3, 3))
    loss.backward()
    assert loss.item() == 0
    assert all(not p.grad.any() for p in part.parameters())
    assert SpatialContext(5, 7)(torch.randn(2, 1, 5), (1, 1)).item() == 0
