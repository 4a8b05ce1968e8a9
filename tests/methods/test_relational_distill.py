"""Relational distillation against a slow oracle; the queue begins with the batch."""

import math

import pytest
import torch

from ccmim.methods.relational_distill import mixed
from tests import tiny_methods


def _softmax(values):
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def _cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.hypot(*a) / math.hypot(*b)


def _divergence(ours, theirs, known_ours, known_theirs):
    """KL of our softmax over cosines / .07 from theirs, for one vector."""
    p, q = (
        _softmax([_cosine(x, y) / 0.07 for y in known])
        for x, known in ((theirs, known_theirs), (ours, known_ours))
    )
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def test_against_a_slow_oracle():
    """float64, number by number; both losses."""
    torch.manual_seed(0)
    model = tiny_methods.build('relational_distill', mix=False).double()
    model.perturbation = torch.nn.Identity()
    images = tiny_methods.batch(model).double()
    assert torch.equal(model._seen(images), images), 'neither mixed nor colored'
    images = images[:2]
    old = model.photos.queue.tolist()
    tokens = model.backbone.encode(model.backbone.embed(images))[:, 1:]
    ours, theirs = model.projector(tokens).tolist(), model.teacher(images).tolist()
    losses = model.loss(images)
    within = [
        _divergence(a, b, image, taught)
        for image, taught in zip(ours, theirs, strict=True)
        for a, b in zip(image, taught, strict=True)
    ]
    expected = sum(within) / len(within)
    assert losses['loss_patches'].item() == pytest.approx(expected, abs=1e-10)

    means = [
        [[sum(c) / len(c) for c in zip(*image, strict=True)] for image in side]
        for side in (ours, theirs)
    ]
    new = [[x / math.hypot(*mean) for x in mean] for mean in means[1]]
    queue = [*new, *old][: len(old)]
    torch.testing.assert_close(model.photos.queue, torch.tensor(queue).double())
    across = [_divergence(a, b, queue, queue) for a, b in zip(*means, strict=True)]
    assert losses['loss_photos'].item() == pytest.approx(sum(across) / 2, rel=1e-7)


def test_a_student_that_is_the_teacher_has_nothing_to_learn():
    torch.manual_seed(0)
    model = tiny_methods.build('relational_distill')
    batch = tiny_methods.batch(model)
    theirs = model.teacher(batch)
    turned = 3 * theirs @ torch.linalg.qr(torch.randn(32, 32))[0]
    assert model.patches(turned, theirs).item() == pytest.approx(0, abs=1e-5)
    model.eval()
    before = model.photos.queue.clone()
    assert model.photos(2 * theirs, theirs).item() == pytest.approx(0, abs=1e-6)
    assert torch.equal(model.photos.queue, before)


def test_photos_are_mixed_in_pairs_by_one_share():
    torch.manual_seed(1)
    images = torch.eye(6)[:, :, None, None]
    found = mixed(images)[:, :, 0, 0]
    torch.testing.assert_close(found.sum(1), torch.ones(6))
    torch.testing.assert_close(found.sum(0), torch.ones(6))
    assert len(found[(found > 0) & (found < 1)].unique()) == 2
