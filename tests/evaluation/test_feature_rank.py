"""RankMe has its closed forms."""

import math

import pytest
import torch

from ccmim.evaluation import feature_rank


def test_orthonormal_features_have_full_rank():
    features, _ = torch.linalg.qr(torch.randn(20, 6))
    assert feature_rank(features) == pytest.approx(6)
    assert feature_rank(1000 * features[:4].new_ones(1) * torch.eye(4)) == 4


def test_one_direction_has_rank_one():
    features = torch.arange(1.0, 21)[:, None] * torch.arange(1.0, 7)
    assert feature_rank(features) == pytest.approx(1, abs=1e-12)
    assert feature_rank(torch.zeros(3, 2)) == 1
    assert math.isnan(feature_rank(torch.tensor([[1.0, math.inf]])))  # no numbers


def test_unequal_directions_count_by_their_entropy():
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    found = feature_rank(torch.diag(torch.tensor([3.0, 1.0])))
    assert found == pytest.approx(math.exp(entropy))
