"""The two pyramids have the published sizes, strides and values."""

import pytest
import torch
import torch.nn.functional as F

from ccmim.dense import LN2d, MultiLevelPyramid, SimpleFeaturePyramid
from ccmim.registry import MODELS


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(('dim', 'out'), [(768, 256), (1024, 256), (192, 128)])
def test_simple_pyramid_has_the_published_number_of_parameters(dim, out):
    half, quarter = dim // 2, dim // 4

    def deconv(i, o):
        return 4 * i * o + o

    def project(i):  # two convolutions without bias, each with a layer norm
        return i * out + 2 * out + 9 * out * out + 2 * out

    expected = (
        (deconv(dim, half) + 2 * half + deconv(half, quarter) + project(quarter))
        + (deconv(dim, half) + project(half))
        + project(dim)
        + project(dim)
    )
    assert count(SimpleFeaturePyramid(dim, out)) == expected


@pytest.mark.parametrize('dim', [768, 192])
def test_multi_level_pyramid_has_the_published_number_of_parameters(dim):
    pytest.importorskip('mmcv')
    expected = 3 * (4 * dim * dim + dim) + 2 * dim
    assert count(MultiLevelPyramid(dim)) == expected


@pytest.mark.parametrize('patch', [8, 14, 16])
def test_simple_pyramid_makes_five_levels_of_doubling_stride(patch):
    side = 8 * patch
    last = torch.randn(2, 16, side // patch, side // patch)
    levels = SimpleFeaturePyramid(16, 12)([torch.zeros(0), last])
    strides = [side / level.shape[-1] for level in levels]
    assert strides == [patch / 4, patch / 2, patch, patch * 2, patch * 4]
    assert {tuple(level.shape[:2]) for level in levels} == {(2, 12)}


def test_simple_pyramid_projects_the_map_itself_at_its_own_stride():
    torch.manual_seed(0)
    neck = SimpleFeaturePyramid(8, 6)
    last = torch.randn(2, 8, 4, 6)

    def norm(x):
        mean = x.mean(dim=1, keepdim=True)
        return (x - mean) / (x.var(dim=1, unbiased=False, keepdim=True) + 1e-6).sqrt()

    def project(x, first, second):
        x = norm(torch.einsum('oi,bihw->bohw', first.weight[:, :, 0, 0], x))
        return norm(F.conv2d(x, second.weight, padding=1))

    levels = neck((last,))
    torch.testing.assert_close(levels[2], project(last, neck.same[0], neck.same[2]))
    pooled = last.reshape(2, 8, 2, 2, 3, 2).amax(dim=(3, 5))
    torch.testing.assert_close(levels[3], project(pooled, neck.down2[1], neck.down2[3]))
    torch.testing.assert_close(levels[4], levels[3][:, :, ::2, ::2])


def test_simple_pyramid_takes_a_shared_offset_away_where_its_input_is_normalized():
    pytest.importorskip('mmcv')
    torch.manual_seed(0)
    last = torch.randn(2, 16, 8, 8)
    offset = 100 * torch.randn(1, 16, 1, 1)
    plain = SimpleFeaturePyramid(16, 8)
    norm = dict(type='BN', affine=False, eps=1e-12)
    normed = SimpleFeaturePyramid(16, 8, input_norm_cfg=norm).double()
    assert count(normed) == count(plain)
    exact, far = last.double(), last.double() + offset.double()
    for level, moved in zip(normed([exact]), normed([far]), strict=True):
        torch.testing.assert_close(level, moved, atol=1e-4, rtol=0)
    # A layer norm alone lets the offset drown what tells the places apart.
    spread, drowned = (
        plain([x])[2][:, :, 2:-2, 2:-2].std(dim=(0, 2, 3)).mean()
        for x in (last, last + offset)
    )
    assert drowned < spread / 20


def test_simple_pyramid_gives_float32_under_autocast():
    neck = SimpleFeaturePyramid(16, 8)
    last = torch.randn(1, 16, 4, 4)
    with torch.autocast('cpu', torch.bfloat16):
        assert {level.dtype for level in neck((last,))} == {torch.float32}


def test_roi_align_reads_the_maps_of_the_simple_pyramid_where_they_are():
    # mmcv's kernel takes the memory for (B, C, H, W) whatever the strides say; a layer
    # norm over channels leaves other strides, and RoIs of mixed-up pixels, silently.
    ops = pytest.importorskip('mmcv.ops')
    level = SimpleFeaturePyramid(16, 8)([torch.randn(1, 16, 4, 4)])[0]
    pixels = ops.roi_align(level, torch.tensor([[0.0, 3, 5, 6, 7]]), (2, 3))
    torch.testing.assert_close(pixels, level[:, :, 5:7, 3:6])


def test_simple_pyramid_needs_a_width_it_can_quarter():
    with pytest.raises(ValueError, match='in_channels=18'):
        SimpleFeaturePyramid(18)


def test_multi_level_pyramid_gives_each_depth_its_stride():
    pytest.importorskip('mmcv')
    maps = [torch.randn(2, 8, 6, 4) for _ in range(4)]
    neck = MultiLevelPyramid(8, norm_cfg=dict(type='BN'))
    finest, fine, same, coarse = neck(maps)
    sizes = [tuple(m.shape[2:]) for m in (finest, fine, same, coarse)]
    assert sizes == [(24, 16), (12, 8), (6, 4), (3, 2)]
    torch.testing.assert_close(same, maps[2])
    torch.testing.assert_close(coarse, F.max_pool2d(maps[3], 2))
    weight = neck.up2.weight[:, :, 1, 0]
    expected = torch.einsum('io,bihw->bohw', weight, maps[1])
    expected += neck.up2.bias[:, None, None]
    torch.testing.assert_close(fine[:, :, 1::2, ::2], expected)


def test_layer_norm_works_over_channels_at_each_place():
    x = torch.randn(2, 5, 3, 4)
    expected = F.layer_norm(x.permute(0, 2, 3, 1), (5,), eps=1e-6)
    torch.testing.assert_close(LN2d(5)(x), expected.permute(0, 3, 1, 2))


def test_heads_can_ask_for_the_layer_norm_by_config():
    cnn = pytest.importorskip('mmcv.cnn')
    name, layer = cnn.build_norm_layer(dict(type='ccmim.LN2d', eps=1e-6), 7)
    assert isinstance(layer, LN2d)
    assert (name, layer.eps, layer.weight.shape) == ('ln', 1e-6, (7,))
    assert MODELS.get('ccmim.LN2d') is LN2d
