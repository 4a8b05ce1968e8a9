"""Score maps are cut out and turned exactly as the pixels of their images are."""

import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.data.crop_box import RandomCropWithBox
from ccmim.masking import crop_maps


def _slow_crop(cells, place, grid, fine=240):
    """Average the map over a raster of fine x fine points of each patch."""
    top, bottom, left, right = place.tolist()
    scores = []
    for r in range(grid[0]):
        for c in range(grid[1]):
            steps = (torch.arange(fine) + 0.5) / fine
            y = top + (bottom - top) * (r + steps) / grid[0]
            x = left + (right - left) * (c + steps) / grid[1]
            rows = (y * cells.shape[0]).long().clamp(max=cells.shape[0] - 1)
            columns = (x * cells.shape[1]).long().clamp(max=cells.shape[1] - 1)
            scores.append(cells[rows][:, columns].mean())
    return torch.stack(scores)


@pytest.mark.parametrize(
    'place',
    [
        (0.0, 1.0, 0.0, 1.0),
        (0.0, 1.0, 1.0, 0.0),  # mirrored
        (0.23, 0.71, 0.4, 0.95),
        (0.23, 0.71, 0.95, 0.4),
        (0.51, 0.53, 0.2, 0.24),  # within one cell
    ],
)
@pytest.mark.parametrize('grid', [(4, 6), (3, 2)])
def test_against_a_slow_oracle(place, grid):
    maps = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0))
    places = torch.tensor([place, place])
    ours = crop_maps(maps, places, grid)
    for cells, mine in zip(maps, ours, strict=True):
        slow = _slow_crop(cells, places[0], grid)
        torch.testing.assert_close(mine, slow, atol=4e-3, rtol=0)


def test_whole_picture_is_the_map_itself():
    maps = torch.rand(3, 4, 4)
    whole = torch.tensor([0.0, 1.0, 0.0, 1.0]).repeat(3, 1)
    torch.testing.assert_close(crop_maps(maps, whole, (4, 4)), maps.flatten(1))
    mirrored = torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat(3, 1)
    found = crop_maps(maps, mirrored, (4, 4))
    torch.testing.assert_close(found, maps.flip(2).flatten(1))


def test_images_and_maps_are_cut_alike():
    """A picture painted with its own map: scores are the brightness of the patches."""
    cells = np.random.default_rng(0).integers(0, 256, (7, 7), dtype=np.uint8)
    pixels = cells.repeat(40, 0).repeat(60, 1)[..., None].repeat(3, 2)
    picture, crop = Image.fromarray(pixels), RandomCropWithBox(64, scale=(0.2, 1.0))
    torch.manual_seed(0)
    found = zip(*(crop(picture) for _ in range(50)), strict=True)
    crops, places = map(torch.stack, found)
    seen = crops[:, 0].float().reshape(50, 4, 16, 4, 16).mean((2, 4)).flatten(1)
    maps = torch.from_numpy(cells).float().expand(50, -1, -1)
    scores = crop_maps(maps, places, (4, 4))
    assert (scores - seen).abs().mean() < 2  # of 255; resizing blurs edges a little
    assert (scores - seen).abs().max() < 12
    assert (places[:, 2] > places[:, 3]).sum() in range(10, 40)  # mirrored ones
    # The controls: without the mirroring, and with the cells of another place.
    straight = places.clone()
    straight[:, 2:] = straight[:, 2:].sort(dim=1).values
    assert (crop_maps(maps, straight, (4, 4)) - seen).abs().mean() > 20
    whole = torch.tensor([0.0, 1.0, 0.0, 1.0]).expand(50, -1)
    assert (crop_maps(maps, whole, (4, 4)) - seen).abs().mean() > 20


def test_a_part_is_resized_as_asked():
    picture = Image.effect_noise((9, 9), 100).convert('RGB')
    crops = [RandomCropWithBox(64, interpolation=i) for i in ('bicubic', 'bilinear')]
    images = []
    for crop in crops:
        torch.manual_seed(0)
        images.append(crop(picture)[0].int())
    assert (images[0] - images[1]).abs().max() > 20


def test_mass_is_kept():
    """The halves of a picture have its scores between them."""
    maps = torch.rand(1, 6, 6)
    left = crop_maps(maps, torch.tensor([[0.0, 1.0, 0.0, 0.5]]), (6, 3))
    right = crop_maps(maps, torch.tensor([[0.0, 1.0, 0.5, 1.0]]), (6, 3))
    both = torch.cat([left.reshape(6, 3), right.reshape(6, 3)], dim=1)
    torch.testing.assert_close(both, maps[0])
