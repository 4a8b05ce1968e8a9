"""The overlap of masks and objects is its formula, on toy scenes as well."""

import numpy as np
import pytest
import torch

from ccmim.apps.demo.scenes import toy_scene
from ccmim.evaluation import mask_overlap


def _slow_overlap(mask, objects, side, least):
    """Count patch by patch."""
    columns = objects.shape[2] // side
    on_objects, hidden, both, patches = 0, 0, 0, 0
    for b in range(len(mask)):
        for i in range(mask.shape[1]):
            top, left = side * (i // columns), side * (i % columns)
            pixels = objects[b, top : top + side, left : left + side].sum().item()
            inside = pixels >= least * side**2
            patches += 1
            on_objects += inside
            hidden += mask[b, i].item()
            both += inside and mask[b, i].item()
    return both / hidden - on_objects / patches


@pytest.mark.parametrize('least', [0.25, 0.5, 1.0])
def test_against_a_slow_oracle_on_toy_scenes(least):
    scenes = [toy_scene(0, 'training', i, 64) for i in range(6)]
    unions = [np.any([mask for _, mask in s.objects], axis=0) for s in scenes]
    objects = torch.from_numpy(np.stack(unions))
    assert objects.any(dim=(1, 2)).all()
    mask = torch.rand(6, 64, generator=torch.Generator().manual_seed(0)) < 0.6
    ours = mask_overlap(mask, objects, 8, least).item()
    assert ours == pytest.approx(_slow_overlap(mask, objects, 8, least), abs=1e-6)


def test_extremes():
    """A mask of the objects alone, of all else, and of everything."""
    objects = torch.zeros(1, 32, 48, dtype=torch.bool)
    objects[:, :16, 16:] = True  # two of six patches
    on_objects = torch.tensor([[False, True, True, False, False, False]])
    assert mask_overlap(on_objects, objects, 16).item() == pytest.approx(1 - 1 / 3)
    assert mask_overlap(~on_objects, objects, 16).item() == pytest.approx(-1 / 3)
    assert mask_overlap(on_objects >= 0, objects, 16).item() == pytest.approx(0)
    with pytest.raises(ValueError, match='have 6 patches of side 16'):
        mask_overlap(torch.ones(1, 9).bool(), objects, 16)
