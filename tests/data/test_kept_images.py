"""Images in memory: cut and mirrored as one tensor, each by its key alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.data import KeptImages, SampleKey

SIDE = 32


@pytest.fixture
def ramps(tmp_path):
    """Images whose red grows from left to right, whose green from top to bottom."""
    folder = tmp_path / 'ramps'
    folder.mkdir()
    x, y = np.meshgrid(*[np.linspace(0, 248, SIDE)] * 2)
    for i in range(6):
        image = np.stack([x, y, np.full_like(x, 40 * i)], 2).round().astype(np.uint8)
        Image.fromarray(image).save(folder / f'{i}.png')
    return str(folder)


def keys(count, visit=0):
    return [SampleKey(3, visit, i % 6) for i in range(count)]


def test_a_sample_depends_on_its_key_alone(ramps):
    kept = KeptImages(ramps, SIDE)
    batch = kept.__getitems__(keys(6))
    assert [s['data_samples'] for s in batch] == list(range(6))
    for i in (4, 1):  # alone, later and in another order
        again = KeptImages(ramps, SIDE)[SampleKey(3, 0, i)]
        assert again['inputs'].dtype == torch.uint8
        assert again['inputs'].equal(batch[i]['inputs'])
    other = kept.__getitems__(keys(6, visit=1))
    pairs = zip(batch, other, strict=True)
    assert not any(a['inputs'].equal(b['inputs']) for a, b in pairs)
    assert (batch[2]['inputs'][2] == 80).all(), 'nothing comes from outside'


def test_parts_have_the_area_and_the_side_that_were_asked_for(ramps):
    whole = KeptImages(ramps, SIDE, scale=(1.0, 1.0), flip_prob=0.0)
    shares = []
    for sample in whole.__getitems__(keys(60)):
        # The whole area with another shape does not fit, so one side is the whole.
        red, green = sample['inputs'][0].int(), sample['inputs'][1].int()
        assert (red.diff(dim=1) >= 0).all(), 'not mirrored'
        shares.append((int(red.max() - red.min()), int(green.max() - green.min())))
    assert all(max(pair) >= 240 for pair in shares)
    small = KeptImages(ramps, SIDE, scale=(0.2, 0.3), flip_prob=1.0)
    for sample in small.__getitems__(keys(60)):
        red, green = sample['inputs'][0].int(), sample['inputs'][1].int()
        assert (red.diff(dim=1) <= 0).all(), 'mirrored'
        share = int(red.max() - red.min()) * int(green.max() - green.min()) / 248**2
        assert 0.12 < share < 0.33


def test_larger_photos_are_brought_to_the_size_and_damaged_ones_replaced(
    ramps, tmp_path
):
    Image.new('RGB', (90, 60), (9, 9, 9)).save(tmp_path / 'ramps/6.png')
    (tmp_path / 'ramps/7.png').write_bytes(b'no picture')
    kept = KeptImages(ramps, (16, 24), flip_prob=0.0, max_bad_ratio=0.5)
    batch = kept.__getitems__([SampleKey(0, 0, 6), SampleKey(0, 0, 7)])
    assert batch[0]['inputs'].shape == (3, 16, 24)
    assert (batch[0]['inputs'] == 9).all()
    assert batch[1]['data_samples'] != 7
    with pytest.raises(ValueError, match='scale'):
        KeptImages(ramps, 16, scale=(0.9, 0.2))
