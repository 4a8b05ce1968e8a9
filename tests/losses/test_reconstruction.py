"""The reconstruction loss equals MAE's, and sees masked patches only."""

import pytest
import torch

from ccmim.losses import PixelReconstruction
from ccmim.masking import RandomSampler
from ccmim.teachers import normalize_patches, patchify, unpatchify


@pytest.fixture
def split():
    """A partition of the 16 patches of four images, 12 of them masked."""
    return RandomSampler()(torch.ones(4, 16), 0.75)


def _slow_loss(pred, images, split, norm_pix):
    """MAE's loss, pixel by pixel: mean over masked patches of the mean square."""
    errors = []
    for b in range(len(images)):
        for j, patch in enumerate(split.ids_masked[b].tolist()):
            top, left = 16 * (patch // 4), 16 * (patch % 4)
            cut = images[b, :, top : top + 16, left : left + 16]
            target = torch.stack(
                [cut[c, y, x] for y in range(16) for x in range(16) for c in range(3)]
            )
            if norm_pix:
                target = (target - target.mean()) / (target.var() + 1e-6).sqrt()
            errors.append((pred[b, j] - target).square().mean())
    return torch.stack(errors).mean()


@pytest.mark.parametrize('norm_pix', [True, False])
def test_against_a_slow_loop(images, split, norm_pix):
    pred = torch.randn(4, 12, 768)
    loss = PixelReconstruction(16, norm_pix)(pred, images, split)
    torch.testing.assert_close(loss, _slow_loss(pred, images, split, norm_pix))


def test_visible_patches_do_not_count(images, split):
    criterion = PixelReconstruction(16)
    pred = torch.randn(4, 12, 768)
    before = criterion(pred, images, split)
    hidden = split.mask.reshape(4, 1, 4, 4).repeat_interleave(16, 2)
    noise = torch.randn_like(images) * ~hidden.repeat_interleave(16, 3)
    assert torch.equal(criterion(pred, images + noise, split), before)
    other = criterion(pred, images + torch.randn_like(images), split)
    assert other != before


def test_perfect_prediction_costs_nothing(images, split):
    images[0] = 0.5  # without contrast
    target = normalize_patches(patchify(images, 16))
    ids = split.ids_masked.unsqueeze(-1).expand(-1, -1, 768)
    loss, pred = PixelReconstruction(16), target.gather(1, ids)
    assert loss(pred, images, split) == 0
    shown = loss.in_pixels(pred, images, split)
    assert torch.equal(shown['target'], patchify(images, 16))
    torch.testing.assert_close(shown['pred'], shown['target'].gather(1, ids))


def test_patchify_round_trip_for_oblong_images():
    images = torch.randn(2, 3, 32, 48)
    patches = patchify(images, 8)
    assert patches.shape == (2, 24, 192)
    assert torch.equal(unpatchify(patches, 8, (4, 6)), images)
    # The second patch of the second row, its first pixel, channels last.
    assert torch.equal(patches[0, 7, :3], images[0, :, 8, 8])


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='32 x 40 .* side 16'):
        patchify(torch.zeros(1, 3, 32, 40), 16)
