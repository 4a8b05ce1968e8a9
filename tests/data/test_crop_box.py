"""Placed images are the ordinary ones, and say where in the picture they are."""

import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.data import ImagesWithCropBox, SampleKey, UnlabeledImages
from ccmim.registry import TRANSFORMS

WITH_BOX = [dict(type='ccmim.RandomCropWithBox', size=(48, 64), scale=(0.3, 1.0))]
PLAIN = [
    dict(type='ccmim.RandomResizedCrop', size=(48, 64), scale=(0.3, 1.0)),
    dict(type='ccmim.RandomHorizontalFlip'),
    dict(type='ccmim.ToUint8Tensor'),
]


def test_pictures_are_those_of_the_plain_transforms(image_folder):
    """Bit for bit, sample by sample."""
    placed = ImagesWithCropBox(WITH_BOX, data=str(image_folder))
    plain = UnlabeledImages(str(image_folder), PLAIN)
    assert len(placed) == len(plain) == 8
    assert placed.metainfo == plain.metainfo
    for key in (SampleKey(1, 2, 3), SampleKey(5, 0, 7), 4):
        ours, theirs = placed[key], plain[key]
        assert torch.equal(ours['inputs'], theirs['inputs'])
        assert ours['data_samples'] == theirs['data_samples']


def test_place_is_the_part_that_was_cut_out():
    """Pixels tell their own row and column, so a crop shows what it took."""
    rows, columns = np.mgrid[0:200, 0:250].astype(np.uint8)
    picture = Image.fromarray(np.stack([rows, columns, rows], -1))
    crop = TRANSFORMS.build(dict(WITH_BOX[0], flip_prob=0.5))
    torch.manual_seed(0)
    mirrored = 0
    for _ in range(40):
        image, place = crop(picture)
        edges = place * torch.tensor([200.0, 200.0, 250.0, 250.0])
        top, bottom, left, right = edges.tolist()
        row, column = image[0].float().mean(1), image[1].float().mean(0)
        # The mean of a pixel's neighbors is its center, half a pixel from its edge.
        step = (bottom - top) / 48
        assert row[4].item() == pytest.approx(top + 4.5 * step - 0.5, abs=1)
        assert row[43].item() == pytest.approx(top + 43.5 * step - 0.5, abs=1)
        step = (right - left) / 64
        assert column[4].item() == pytest.approx(left + 4.5 * step - 0.5, abs=1)
        assert column[59].item() == pytest.approx(left + 59.5 * step - 0.5, abs=1)
        assert (column[59] < column[4]) == (right < left)
        mirrored += right < left
    assert 10 < mirrored < 30


def test_whole_pictures_keep_their_numbers(image_folder):
    """All of the picture, of one size, whatever its shape."""
    whole = ImagesWithCropBox(WITH_BOX, data=str(image_folder)).whole((32, 32))
    first = sorted(image_folder.rglob('*.jpg'))[0]
    expected = Image.open(first).convert('RGB').resize((32, 32), Image.BICUBIC)
    sample = whole[0]
    assert sample['data_samples'] == 0
    assert np.array_equal(sample['inputs'].permute(1, 2, 0), np.asarray(expected))
    assert len(whole) == 8


def test_whole_pictures_keep_their_numbers_in_a_folder_that_grows(image_folder):
    placed = ImagesWithCropBox(WITH_BOX, data=str(image_folder))
    before = placed.whole((32, 32))[0]['inputs']
    Image.new('RGB', (64, 64)).save(image_folder / 'a.jpg')
    whole = placed.whole((32, 32))
    assert len(whole) == len(placed) == 8
    assert torch.equal(whole[0]['inputs'], before)
    assert placed[0]['inputs'].shape == (3, 48, 64), 'its own transforms are as before'
