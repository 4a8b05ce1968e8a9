"""Pictures show the truth where it is visible and the prediction where it is not."""

import torch

from ccmim.pictures import reconstruct, reconstruction_sheet
from ccmim.teachers import normalise_patches, patchify

PREPROCESSOR = dict(type='ImgDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3)


def _oracle(method, images):
    """Replace the decoder by one that predicts the true normalised patches."""
    target = normalise_patches(patchify(images, 16))

    def decode(visible, split):
        ids = split.ids_masked.unsqueeze(-1).expand(-1, -1, target.shape[-1])
        return target.gather(1, ids)

    method.decoder.forward = decode


def test_visible_patches_are_untouched(tiny_mae, images):
    result = reconstruct(tiny_mae(), images)
    patches = patchify(images, 16)
    assert torch.equal(result.patches[~result.mask], patches[~result.mask])
    assert not torch.allclose(result.patches[result.mask], patches[result.mask])


def test_a_perfect_prediction_gives_the_image_back(tiny_mae, images):
    """Normalised pixels are un-normalised by the statistics of each true patch."""
    method = tiny_mae()
    _oracle(method, images)
    result = reconstruct(method, images)
    torch.testing.assert_close(
        result.patches, patchify(images, 16), atol=1e-4, rtol=1e-3
    )


def test_sheet_columns(tiny_ccmim):
    method = tiny_ccmim(data_preprocessor=PREPROCESSOR)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    _oracle(method, (images.float() - 120) / 60)
    sheet = reconstruction_sheet(method, images)
    assert sheet.shape == (2 * 68, 4 * 68, 3)
    rows = torch.from_numpy(sheet).reshape(2, 68, 4, 68, 3)[:, :64, :, :64]
    original, _, masked, completed = rows.permute(2, 0, 4, 1, 3).int()
    assert torch.equal(original, images.int())
    assert (completed - original).abs().max() <= 1
    grey = (masked == 128).all(1)
    assert grey.float().mean() >= 0.74  # three of four patches
    shown = ~grey.unsqueeze(1).expand_as(masked)
    assert torch.equal(masked[shown], original[shown])
