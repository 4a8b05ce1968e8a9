"""Patches keep their neighbors where features only turn, and lose them by chance."""

import pytest
import torch

from ccmim.evaluation.neighborhoods import agreement, patch_neighbors


def test_neighbors_are_those_of_a_loop_over_other_photos():
    torch.manual_seed(0)
    patches = torch.randn(3, 4, 5)
    found = patch_neighbors(patches, k=2)
    flat = patches.flatten(0, 1)
    for i, ids in enumerate(found.tolist()):
        alike = torch.cosine_similarity(flat[i : i + 1], flat)
        others = [j for j in range(12) if j // 4 != i // 4]
        assert ids == sorted(others, key=lambda j: -alike[j].item())[:2]
    turned = patches @ torch.linalg.qr(torch.randn(5, 5))[0]
    assert agreement(patch_neighbors(3 * turned, k=2), found) == 100
    assert agreement(torch.tensor([[1, 2]]), torch.tensor([[3, 1]])) == 50
    assert patch_neighbors(patches).shape == (12, 8)  # no more than there are
    assert patch_neighbors(patches, most=5).shape == (4, 2)
    assert patch_neighbors((9 * patches[:2]).int(), k=1).shape == (8, 1)
    with pytest.raises(ValueError, match='two photos'):
        patch_neighbors(patches[:1])
