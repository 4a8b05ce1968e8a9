"""Two views of a picture, drawn apart, as a function of the sample alone."""

import torch

from ccmim.data import SampleKey, UnlabeledImages

CROP = [
    dict(type='ccmim.RandomResizedCrop', size=(16, 24)),
    dict(type='ccmim.RandomHorizontalFlip'),
    dict(type='ccmim.ToUint8Tensor'),
]


def test_views_are_two_draws_one_above_the_other(image_folder):
    two = dict(type='ccmim.TwoViews', transform=CROP)
    views = UnlabeledImages(str(image_folder), two)
    single = UnlabeledImages(str(image_folder), CROP)
    key = SampleKey(1, 2, 3)
    both = views[key]['inputs']
    assert both.shape == (3, 32, 24)
    assert both.dtype == torch.uint8
    assert torch.equal(both[:, :16], single[key]['inputs'])
    assert not torch.equal(both[:, 16:], both[:, :16])
    assert torch.equal(views[key]['inputs'], both)
    assert not torch.equal(views[SampleKey(1, 3, 3)]['inputs'], both)


def test_one_transform_needs_no_list(image_folder):
    """Without chance the views are the same."""
    center = dict(type='ccmim.ResizeCenterCrop', size=16)
    views = dict(type='ccmim.TwoViews', transform=[center, CROP[-1]])
    image = UnlabeledImages(str(image_folder), [views])[0]['inputs']
    assert torch.equal(image[:, :16], image[:, 16:])
    single = dict(type='ccmim.TwoViews', transform=CROP[-1])
    assert UnlabeledImages(str(image_folder), single)[0]['inputs'].shape[1] == 160
