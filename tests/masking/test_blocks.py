"""Block-wise masks: rectangles, of BEiT's distribution, always as many patches."""

import math
import random

import pytest
import torch

from ccmim.masking import BlockSampler


def _beit_mask(side=14, budget=79, min_area=16, min_aspect=0.3):
    """One mask drawn as BEiT's paper describes it (algorithm 1), patch by patch."""
    masked, accepted = set(), True
    while accepted and len(masked) < budget:
        left, accepted = budget - len(masked), False
        for _ in range(10):
            area = random.uniform(min_area, left)
            aspect = math.exp(random.uniform(math.log(min_aspect), -math.log(0.3)))
            height = round(math.sqrt(area * aspect))
            width = round(math.sqrt(area / aspect))
            if height >= side or width >= side:
                continue
            top = random.randint(0, side - height)
            start = random.randint(0, side - width)
            rows, columns = range(top, top + height), range(start, start + width)
            new = {(y, x) for y in rows for x in columns} - masked
            if 0 < len(new) <= left:
                masked |= new
                accepted = True
                break
    places = [(y, x) for y in range(side) for x in range(side)]
    return torch.tensor([float(place in masked) for place in places]).reshape(side, -1)


def test_distribution_is_that_of_beit():
    """How often each patch is masked, and how many neighbors share its state."""
    random.seed(0)
    theirs = torch.stack([_beit_mask() for _ in range(1500)])
    ours = BlockSampler()(torch.ones(6000, 196), 0.4).mask.reshape(-1, 14, 14).float()
    assert ours.sum((1, 2)).unique().tolist() == [79]  # 40 % of 196, in every image
    torch.testing.assert_close(ours.mean(0), theirs.mean(0), atol=0.06, rtol=0)
    alike = [(m[:, 1:] == m[:, :-1]).float().mean() for m in (ours, theirs)]
    torch.testing.assert_close(*alike, atol=0.01, rtol=0)
    assert alike[0] > 0.85  # 0.52 for random masks


def test_a_single_block_is_a_rectangle():
    sampler = BlockSampler(img_size=(64, 96), min_area=6, attempts=1)
    masks = sampler(torch.ones(200, 24), 0.25).mask.reshape(200, 4, 6)
    boxes = masks.any(2).sum(1) * masks.any(1).sum(1)
    assert (boxes == 6).float().mean() > 0.4  # 1 x 6 and 6 x 1 do not fit inside
    assert masks.all(1).float().mean() < 0.005, 'from edge to edge only by chance'


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(min_area=0), 'min_area=0'),
        (dict(min_area=196), 'min_area=196 must lie in'),
        (dict(min_aspect=0.0), 'min_aspect=0.0'),
        (dict(attempts=0), 'attempts=0'),
    ],
)
def test_bad_settings_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        BlockSampler(**wrong)


def test_scores_of_another_size_are_refused():
    with pytest.raises(ValueError, match='BlockSampler gives 196 patches'):
        BlockSampler()(torch.ones(1, 64), 0.4)
