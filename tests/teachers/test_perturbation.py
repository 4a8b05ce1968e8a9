"""Each change of color equals torchvision's, image by image, and happens as often."""

import math

import pytest
import torch
import torchvision.transforms.functional as F

from ccmim.teachers import ColorPerturbation

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
NONE = dict(jitter_prob=0, gray_prob=0, blur_prob=0, solarize_prob=0)
UNIT = dict(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))  # images in [0, 1]


@pytest.fixture
def pictures():
    """Three pictures of soft noise in [0.3, 0.7]: nothing is clipped."""
    coarse = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, (32, 48), mode='bilinear')
    return 0.3 + 0.4 * fine


@pytest.fixture
def draws(monkeypatch):
    """Fix what is drawn: a number for each image and row; return the table."""
    table = torch.rand((9, 3), generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(torch, 'rand', lambda *args, **options: table)
    return table


def _only(**changes):
    jitter = dict(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    return ColorPerturbation(**{**jitter, **NONE, **UNIT, **changes})


@pytest.mark.parametrize(
    ('row', 'name'), list(enumerate(('brightness', 'contrast', 'saturation')))
)
def test_jitter(pictures, draws, row, name):
    reference = getattr(F, f'adjust_{name}')
    ours = _only(jitter_prob=1, **{name: 0.2})(pictures)
    factors = (1 + 0.2 * (2 * draws[row] - 1)).tolist()
    for image, factor, result in zip(pictures, factors, ours, strict=True):
        expected = reference(image, factor)
        torch.testing.assert_close(result, expected, atol=1e-3, rtol=0)
    assert (ours - pictures).abs().amax() > 0.02


def test_hue_turns_the_colors_and_keeps_the_brightness(pictures, draws):
    ours = _only(jitter_prob=1, hue=0.1)(pictures)
    gray = F.rgb_to_grayscale(ours)
    torch.testing.assert_close(gray, F.rgb_to_grayscale(pictures), atol=2e-3, rtol=0)
    for image, draw, result in zip(pictures, draws[3], ours, strict=True):
        angle = 2 * math.pi * 0.1 * (2 * draw.item() - 1)
        turned = _chroma(result) / _chroma(image)
        assert turned.angle().median().item() == pytest.approx(angle, abs=0.01)


def _chroma(image):
    red, green, blue = image.double()
    return torch.complex(
        0.596 * red - 0.274 * green - 0.322 * blue,
        0.211 * red - 0.523 * green + 0.312 * blue,
    )


def test_grey_and_solarize(pictures, draws):
    gray = _only(gray_prob=1)(pictures)
    expected = F.rgb_to_grayscale(pictures, num_output_channels=3)
    torch.testing.assert_close(gray, expected, atol=1e-3, rtol=0)
    inverted = _only(solarize_prob=1)(pictures)
    torch.testing.assert_close(inverted, F.solarize(pictures, 0.5))


def test_blur(pictures, draws):
    ours = _only(blur_prob=1)(pictures)
    for image, sigma, result in zip(pictures, 0.1 + 1.9 * draws[4], ours, strict=True):
        expected = F.gaussian_blur(image, [13, 13], [sigma.item()] * 2)
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_nothing_happens_at_probability_zero(images):
    torch.testing.assert_close(ColorPerturbation(**NONE)(images), images)


def test_normalization_is_undone_and_done_again(pictures, draws):
    """The same change, whether images come as they are or normalized."""
    plain = ColorPerturbation(**{**NONE, **UNIT, 'solarize_prob': 1})(pictures)
    mean, std = (torch.tensor(v)[:, None, None] / 255 for v in (MEAN, STD))
    normed = ColorPerturbation(**{**NONE, 'solarize_prob': 1})((pictures - mean) / std)
    torch.testing.assert_close(normed * std + mean, plain, atol=1e-5, rtol=0)


def test_how_often():
    """Each image draws for itself: 80 % jittered, 20 % gray, 20 % solarised."""
    torch.manual_seed(0)
    images = torch.rand(1, 3, 1, 1).expand(4000, 3, 16, 16) * 0.2 + 0.6
    strengths = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
    shares = dict(jitter_prob=0.8, gray_prob=0.2, solarize_prob=0.2)
    for name, share in shares.items():
        part = ColorPerturbation(**{**strengths, **NONE, **UNIT, name: share})
        changed = ((part(images) - images).abs() > 1e-6).flatten(1).any(1)
        assert changed.float().mean().item() == pytest.approx(share, abs=0.03)
