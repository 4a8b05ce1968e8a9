"""RoIs cut out of all levels are those of torchvision, and so are the gradients."""

import pytest
import torch
from torch import nn

from ccmim.dense.patch_deconv import PatchDeconv

pytest.importorskip('mmdet')


@pytest.mark.parametrize('samples', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('factor', [None, 1.3])
def test_rois_of_all_levels_are_those_of_torchvision(samples, aligned, factor):
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    from ccmim.dense.roi_extractor import RoIExtractor

    torch.manual_seed(0)
    layer = dict(output_size=(3, 4), sampling_ratio=samples, aligned=aligned)
    made = dict(
        roi_layer=dict(type='RoIAlign', **layer), out_channels=3, finest_scale=30
    )
    ours = RoIExtractor(**made, featmap_strides=[4, 8, 16])
    theirs = SingleRoIExtractor(**made, featmap_strides=[4, 8, 16])
    for each in theirs.roi_layers:
        each.use_torchvision = True
    maps = [torch.randn(2, 3, 48 >> i, 40 >> i).double() for i in range(3)]
    maps = [each.requires_grad_() for each in maps]
    corner, size = 150 * torch.rand(30, 2) - 12, 119 * torch.rand(30, 2).square()
    size[:2] = torch.tensor([[0.0, 9], [-7, -4]])  # boxes without an area
    corner[2] += 900  # and one outside
    image = torch.arange(30)[:, None] % 2
    rois = torch.cat([image, corner, corner + size], dim=1).double()
    found, expected = (each(maps, rois, factor) for each in (ours, theirs))
    counts = ours.map_roi_levels(rois, 3).bincount(minlength=3)
    assert counts[:2].min() > 2
    assert counts[2] == 0
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    gradients = (torch.autograd.grad(each, maps, weights) for each in (found, expected))
    for gradient, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(gradient, wanted)
    assert gradient.shape == maps[2].shape  # of a level without RoIs
    assert ours(maps, rois[:0]).shape == (0, 3, 3, 4)


def test_patches_become_what_a_transposed_convolution_makes_of_them():
    torch.manual_seed(0)
    layer = PatchDeconv(5, 4, side=3).double()
    x = torch.randn(2, 5, 4, 6, dtype=torch.float64, requires_grad=True)
    inputs = x, layer.weight, layer.bias
    found, expected = layer(x), nn.ConvTranspose2d.forward(layer, x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    for gradient, wanted in zip(
        *(torch.autograd.grad(each, inputs, weights) for each in (found, expected)),
        strict=True,
    ):
        torch.testing.assert_close(gradient, wanted)
