"""Another image's style: the formulae pixel by pixel, and what must stay."""

import cmath
import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch

from ccmim.teachers import ColorPerturbation, StylePerturbation
from ccmim.teachers.style_perturbation import _swap_frequencies, _swap_statistics
from tests.golden import record_family as record

UNIT = dict(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))  # images in [0, 1]
# Who is whose partner: images in the order of the lots give their style to the next.
LOTS = ((0.3, 0.1, 0.2), (0.5, 0.25, 1.0), (0.0, 0.0, 0.9))
PARTNER = (2, 0, 1)
SHARE = (0.5, 0.25, 0.0)  # the last one draws above prob


@pytest.fixture
def pictures():
    """Three pictures of 6 x 8 soft pixels of unlike colors: nothing is clipped."""
    noise = torch.rand(3, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([[0.4, 0.5, 0.6], [0.6, 0.4, 0.5], [0.5, 0.6, 0.4]])
    spread = torch.tensor([0.1, 0.05, 0.15])[:, None, None, None]
    return (shift[..., None, None] + spread * (noise - 0.5)).double()


@pytest.fixture
def draws(monkeypatch):
    """Fix what is drawn."""
    monkeypatch.setattr(torch, 'rand', lambda *a, **o: torch.tensor(LOTS))


def _slow_statistics(image, other, share):
    """Channel by channel."""
    result = torch.empty_like(image)
    for c in range(3):
        ours, theirs = image[c].flatten().tolist(), other[c].flatten().tolist()
        (m, s), (n, t) = _moments(ours), _moments(theirs)
        for i, value in enumerate(ours):
            spread, mean = (1 - share) * s + share * t, (1 - share) * m + share * n
            result[c].view(-1)[i] = (value - m) / s * spread + mean
    return result


def _moments(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _slow_frequencies(image, other, share, low):
    """A discrete Fourier transform by its definition, one frequency after another."""
    _, height, width = image.shape
    result = torch.empty_like(image)
    places = [(y, x) for y in range(height) for x in range(width)]

    def wave(v, u, sign, y, x):
        return cmath.exp(sign * 2j * math.pi * (v * y / height + u * x / width))

    for c in range(3):
        pixels = torch.zeros(height, width, dtype=torch.complex128)
        for v, u in places:
            ours, theirs = (
                sum(p[c, y, x].item() * wave(v, u, -1, y, x) for y, x in places)
                for p in (image, other)
            )
            cycles = max(min(v, height - v) / height, min(u, width - u) / width)
            if cycles <= low / 2:
                size = (1 - share) * abs(ours) + share * abs(theirs)
                ours = cmath.rect(size, cmath.phase(ours))
            for y, x in places:
                pixels[y, x] += ours * wave(v, u, 1, y, x) / len(places)
        assert pixels.imag.abs().max() < 1e-12
        result[c] = pixels.real
    return result


@pytest.mark.parametrize('low', [None, 0.0, 0.3, 1.0])
def test_against_a_slow_oracle(pictures, draws, low):
    """float64, within 1e-7: by the drawn partners and shares; the last one stays."""
    kind = 'statistics' if low is None else 'frequencies'
    ours = StylePerturbation(kind, low_ratio=low, **UNIT).double()(pictures)
    for i, (partner, share) in enumerate(zip(PARTNER, SHARE, strict=True)):
        args = pictures[i], pictures[partner], share
        slow = _slow_statistics(*args) if low is None else _slow_frequencies(*args, low)
        torch.testing.assert_close(ours[i], slow, atol=1e-7, rtol=0)
    assert torch.equal(ours[2], pictures[2])
    assert (ours[:2] - pictures[:2]).abs().amax() > 0.02


@pytest.mark.parametrize(
    ('name', 'swap'),
    [('adain', _swap_statistics), ('fda', partial(_swap_frequencies, low=0.5))],
)
def test_against_published_code(name, swap):
    """Recorded by tests/golden/record_family.py: all of another image's attributes."""
    file = Path(record.__file__).with_name('family_published.json')
    recorded = json.loads(file.read_text())[name]
    content, style = (x[None] for x in record.pictures())
    found = swap(content, style, torch.ones(1, 1, 1, 1, dtype=content.dtype))[0]
    expected = torch.tensor(recorded['image'], dtype=content.dtype)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found - content[0]).abs().max() > 20


@pytest.mark.parametrize('attributes', ['statistics', 'frequencies'])
def test_content_stays_and_style_comes_back(attributes, pictures, monkeypatch):
    """Edges are where they were; taking one's own style back restores the image."""
    lots = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    monkeypatch.setattr(torch, 'rand', lambda *a, **o: lots)
    part, images = StylePerturbation(attributes, **UNIT).double(), pictures[:2]
    styled = part(images)
    edges = [x.diff(dim=3).flatten(1) for x in (images, styled)]
    assert torch.cosine_similarity(*edges).min() > 0.99
    again = part(torch.stack([styled[0], images[0]]))[0]  # from the image as it was
    torch.testing.assert_close(again, images[0], atol=1e-6, rtol=0)
    assert (styled - images).abs().amax() > 0.02


def test_nothing_happens_without_another_image_or_at_no_strength(images):
    part, images = StylePerturbation(), 0.3 * images  # none beyond black or white
    torch.testing.assert_close(part(images[:1]), images[:1], atol=1e-5, rtol=0)
    assert torch.equal(StylePerturbation(strength=0.0)(images), images)
    flat = torch.zeros_like(images)
    assert part(flat.clone().requires_grad_()).isfinite().all()
    assert not part(flat.requires_grad_()).requires_grad


def test_pixels_stay_between_black_and_white(images):
    mean, std = ColorPerturbation().statistics
    styled = StylePerturbation(prob=1.0)(10 * images) * std + mean
    assert styled.amin() >= -1e-6
    assert styled.amax() <= 1 + 1e-6


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(low_ratio=0.2), "low_ratio=0.2 is of attributes='frequencies'"),
        (dict(attributes='lab'), "attributes='lab' must be 'statistics' or 'freq"),
        (dict(prob=1.5), 'prob=1.5 must be a number from 0 up to 1'),
    ],
)
def test_impossible_settings_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        StylePerturbation(**wrong)
