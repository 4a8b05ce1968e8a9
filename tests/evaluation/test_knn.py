"""Weighted k-NN equals a slow count in float64."""

import math

import pytest
import torch

from ccmim.evaluation import knn, knn_accuracy, nearest, vote


@pytest.fixture
def clouds():
    """Overlapping clouds of three classes: train and test features with labels."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(3, 6, generator=generator)

    def draw(count):
        labels = torch.randint(3, (count,), generator=generator)
        noise = 1.5 * torch.randn(count, 6, generator=generator)
        scale = 0.1 + 10 * torch.rand(count, 1, generator=generator)
        return (centers[labels] + noise) * scale, labels

    return *draw(60), *draw(41)


def _oracle(train, train_labels, test, test_labels, k, temperature):
    hits = 0
    for feature, label in zip(test.double(), test_labels.tolist(), strict=True):
        cosines = [
            (float(feature @ other / (feature.norm() * other.norm())), int(its))
            for other, its in zip(train.double(), train_labels, strict=True)
        ]
        votes = {0: 0.0, 1: 0.0, 2: 0.0}
        for cosine, its in sorted(cosines, reverse=True)[:k]:
            votes[its] += math.exp(cosine / temperature)
        hits += max(votes, key=votes.get) == label
    return 100 * hits / len(test)


@pytest.mark.parametrize('k', [1, 5, 60])
@pytest.mark.parametrize('temperature', [0.07, 1.0, 1e3])
def test_it_equals_a_slow_count(clouds, k, temperature):
    """And fewer neighbors are the first of more."""
    found = knn_accuracy(*clouds, k=k, temperature=temperature)
    assert found == pytest.approx(_oracle(*clouds, k, temperature))
    assert 20 < found < 100
    similarities, ids = nearest(clouds[0], clouds[2], 60)
    votes = vote(similarities[:, :k], clouds[1][ids[:, :k]], temperature)
    assert found == pytest.approx(100 * (votes == clouds[3]).double().mean().item())


def test_chunks_change_nothing(clouds, monkeypatch):
    train, _, test, _ = clouds
    whole = nearest(train, test, 7)
    monkeypatch.setattr(knn, '_CHUNK', 4 * len(train))
    parts = nearest(train, test, 7)
    assert torch.equal(whole[1], parts[1])
    torch.testing.assert_close(whole[0], parts[0])
    assert (whole[0].diff(dim=1) <= 0).all()


def test_twenty_neighbors_vote_unless_told_otherwise():
    angles = torch.arange(1, 41) / 40
    train = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([1] * 9 + [0] * 11 + [1] * 20)  # 0 wins with 19, 20 or 21
    one, zero = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    options = dict(temperature=1e3)
    assert knn_accuracy(train, labels, one, zero, **options) == 100
    for k in (5, 10, 40):
        assert knn_accuracy(train, labels, one, zero, k, **options) == 0


def test_no_temperature_is_too_small(clouds):
    train, labels, test, _ = clouds
    similarities, ids = nearest(train, test, 9)
    votes = vote(similarities, labels[ids], temperature=1e-6)
    assert torch.equal(votes, labels[ids[:, 0]])


def test_values_out_of_range_are_refused(clouds):
    for k in (0, 61):
        with pytest.raises(ValueError, match=r'must lie in \[1, 60\]'):
            knn_accuracy(*clouds, k=k)
    with pytest.raises(ValueError, match='temperature'):
        knn_accuracy(*clouds, k=1, temperature=0.0)
