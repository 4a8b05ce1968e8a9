"""Units are masked whole, at random or by the scores of their patches."""

import pytest
import torch

from ccmim.masking import MaskUnitSampler

RANDOM = dict(type='ccmim.RandomSampler')
TOP = dict(type='ccmim.TopKSampler')


@pytest.mark.parametrize('sampler', [RANDOM, dict(type='ccmim.BlockSampler')])
def test_published_count(sampler):
    """60 % of 7 x 7 units of 2 x 2 patches: 30 units, 120 of 196 patches."""
    split = MaskUnitSampler(sampler)(torch.ones(3, 196), 0.6)
    assert split.mask.sum(1).tolist() == [120] * 3
    assert split.ids_visible.shape == (3, 76)
    both = torch.cat([split.ids_visible, split.ids_masked], 1).sort(1).values
    assert torch.equal(both, torch.arange(196).expand(3, -1))
    assert split.mask.gather(1, split.ids_masked).all()
    assert not MaskUnitSampler(sampler).state_dict(), 'checkpoints of before still fit'


def test_units_of_an_oblong_image():
    """48 x 72 px, patches of 8: of the highest mean is the lower right one."""
    scores = torch.zeros(1, 54)
    scores[0, -1] = 9.0
    sampler = MaskUnitSampler(TOP, unit_size=24, img_size=(48, 72), patch_size=8)
    seen = []
    sampler.sampler.register_forward_pre_hook(lambda part, given: seen.append(given))
    split = sampler(scores, 0.1)
    assert seen[0][0].tolist() == [[0, 0, 0, 0, 0, 1]]
    assert split.ids_masked.tolist() == [[33, 34, 35, 42, 43, 44, 51, 52, 53]]


def test_random_units_are_uniform():
    share = MaskUnitSampler(RANDOM, img_size=64)(torch.ones(20000, 16), 0.5).mask
    torch.testing.assert_close(
        share.float().mean(0), torch.full((16,), 0.5), atol=0.015, rtol=0
    )


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='MaskUnitSampler gives 196 patches'):
        MaskUnitSampler(RANDOM)(torch.ones(1, 64), 0.5)
    for unit, size in ((24, 224), (64, (224, 192)), (64, (192, 224))):
        with pytest.raises(ValueError, match='must be a multiple of patch_size=16'):
            MaskUnitSampler(RANDOM, unit, size)
