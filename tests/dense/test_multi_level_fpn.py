"""The pyramid of the 12-epoch detectors: sizes, fusion and precision."""

import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from ccmim.operators import from_torchvision

pytest.importorskip('mmdet')

BATCH_NORM = dict(type='BN')


@pytest.fixture
def make():
    from ccmim.dense.multi_level_fpn import MultiLevelFPN

    return MultiLevelFPN


@pytest.mark.parametrize(('dim', 'out'), [(768, 256), (16, 8)])
def test_it_has_the_published_number_of_parameters(make, dim, out):
    with torch.device('meta'):
        neck = make(dim, out, BATCH_NORM)
    rescaling = 3 * (4 * dim * dim + dim) + 2 * dim
    fpn = 4 * (dim * out + out) + 4 * (9 * out * out + out)
    assert sum(p.numel() for p in neck.parameters()) == rescaling + fpn


def test_levels_add_up_from_the_coarsest_to_the_finest(make):
    neck = make(8, 4, BATCH_NORM).eval()
    maps = [torch.randn(2, 8, 6, 4) for _ in range(4)]
    levels = neck(maps)
    sizes = [tuple(level.shape[2:]) for level in levels]
    assert sizes == [(24, 16), (12, 8), (6, 4), (3, 2), (2, 1)]
    rescaled = neck.rescale(maps)
    sums = [conv(x) for conv, x in zip(neck.fpn.lateral_convs, rescaled, strict=True)]
    for i in (2, 1, 0):
        sums[i] = sums[i] + F.interpolate(sums[i + 1], scale_factor=2.0)
    for conv, x, level in zip(neck.fpn.fpn_convs, sums, levels, strict=False):
        torch.testing.assert_close(level, conv(x))
    torch.testing.assert_close(levels[4], levels[3][:, :, ::2, ::2])


@pytest.mark.parametrize('is_compiled', [True, False])
def test_maps_are_float32_and_contiguous_for_compiled_operators(
    make, monkeypatch, is_compiled
):
    file = 'mmcv/_ext.so' if is_compiled else from_torchvision.__file__
    monkeypatch.setitem(sys.modules, 'mmcv._ext', SimpleNamespace(__file__=file))
    neck = make(8, 4, BATCH_NORM)
    maps = [torch.randn(2, 8, 4, 4) for _ in range(4)]
    with torch.autocast('cpu', torch.bfloat16):
        levels = neck(maps)
    assert {level.dtype for level in levels} == {torch.float32}
    assert all(level.is_contiguous() == is_compiled for level in levels[:2])
