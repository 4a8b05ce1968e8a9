"""Contrasts of two views equal their formulae; queues are filled newest first."""

import math

import pytest
import torch

from ccmim.losses import HardnessRanking, QueueContrast, TwoViewContrast


def _unit(x):
    return x / x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize('temperature', [0.1, 0.5])
def test_nt_xent_against_a_slow_loop(temperature):
    x = torch.randn(8, 5, dtype=torch.float64)
    z, total = _unit(x), 0.0
    for i in range(8):
        terms = {k: math.exp(z[i] @ z[k] / temperature) for k in range(8) if k != i}
        total -= math.log(terms[(i + 4) % 8] / sum(terms.values()))
    ours = TwoViewContrast(temperature)(x, x)[0]
    assert ours.item() == pytest.approx(total / 8, abs=1e-12)


def test_nt_xent_of_orthogonal_pairs():
    """n pairs, alike within and orthogonal between: log(1 + (2n - 2) exp(-1 / T))."""
    pairs = torch.eye(4, dtype=torch.float64).repeat(2, 1)
    expected = math.log(1 + 6 * math.exp(-1 / 0.5))
    loss, accuracy = TwoViewContrast(0.5)(pairs, pairs)
    assert loss.item() == pytest.approx(expected)
    assert accuracy == 1
    mixed = torch.cat([torch.eye(4), torch.eye(4)[[0, 1, 3, 2]]])
    assert TwoViewContrast(0.5)(mixed, mixed)[1] == 0.5


def test_queue_contrast_against_a_slow_loop():
    contrast = QueueContrast(dim=5, length=7, temperature=0.3).double()
    queries, keys = torch.randn(2, 4, 5, dtype=torch.float64)
    total = 0.0
    for query, key in zip(_unit(queries), _unit(keys), strict=True):
        negative = sum(math.exp(query @ k / 0.3) for k in contrast.queue)
        positive = math.exp(query @ key / 0.3)
        total -= math.log(positive / (positive + negative))
    ours, accuracy = contrast(queries, keys, keys)
    assert ours.item() == pytest.approx(total / 4, abs=1e-12)
    cosines = torch.stack([_unit(queries) @ k for k in contrast.queue[-3:]])
    nearer = (_unit(queries) * _unit(keys)).sum(1) > cosines.amax(0)
    assert accuracy <= nearer.float().mean()  # four of the queue are newer
    assert contrast.eval()(queries, queries, keys)[1] == 1


def test_queue_holds_the_newest_keys():
    """Newest batch first, at most so many, of length one; more than fit as well."""
    contrast = QueueContrast(dim=3, length=5)
    batches = [torch.randn(2, 3) for _ in range(3)]
    for batch in batches:
        contrast(batch, batch, batch)
    expected = torch.cat([_unit(b) for b in reversed(batches)])[:5]
    torch.testing.assert_close(contrast.queue, expected)
    many = torch.randn(9, 3)
    contrast(many, many, many)
    torch.testing.assert_close(contrast.queue, _unit(many)[:5])


def test_queue_rests_in_evaluation_and_is_saved():
    contrast = QueueContrast(dim=3, length=5)
    before = contrast.queue.clone()
    x = torch.randn(2, 3)
    contrast.eval()(x, x, x)
    assert torch.equal(contrast.queue, before)
    assert torch.equal(contrast.state_dict()['queue'], before)
    torch.testing.assert_close(before.norm(dim=1), torch.ones(5))


def test_bad_numbers_do_not_enter_the_queue():
    """A step of NaN is left out of the training, and the next ones are good again."""
    contrast = QueueContrast(dim=3, length=5)
    before = contrast.queue.clone()
    keys = torch.tensor([[math.nan, 1.0, 2.0], [0.0, 3.0, 4.0]])
    contrast(torch.randn(2, 3), keys, keys)
    new = torch.tensor([[0.0, 0.6, 0.8]])
    expected = torch.cat([before[:1], new, before[:3]])
    torch.testing.assert_close(contrast.queue, expected)


def test_gradient_of_a_step_that_queued_its_keys():
    """The queue that was compared with counts, not the one that came after."""
    contrast = QueueContrast(dim=3, length=4, temperature=1.0).double()
    queries = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(2, 3, dtype=torch.float64)
    old = contrast.queue.clone()
    ours = torch.autograd.grad(contrast(queries, keys, keys)[0], queries)[0]
    contrast.queue = old
    contrast.eval()
    theirs = torch.autograd.grad(contrast(queries, keys, keys)[0], queries)[0]
    assert torch.equal(ours, theirs)


def test_ranking_against_a_slow_loop():
    """Pairs of one image only; equal errors do not count."""
    hardness = torch.randn(2, 5, dtype=torch.float64)
    errors = torch.tensor([[1.0, 2.0, 2.0, 0.5, 3.0], [4.0, 1.0, 0.0, 2.0, 9.0]])
    total, pairs = 0.0, 0
    for h, e in zip(hardness.tolist(), errors.tolist(), strict=True):
        for i in range(5):
            for j in range(5):
                if e[i] > e[j]:
                    total += math.log(1 + math.exp(h[j] - h[i]))
                    pairs += 1
    assert pairs == 19
    ours = HardnessRanking()(hardness, errors)
    assert ours.item() == pytest.approx(total / 19, abs=1e-12)


def test_ranking_by_chance_and_without_pairs():
    flat, rank = torch.zeros(2, 2), HardnessRanking()
    errors = torch.tensor([[1.0, 1.0], [1.0, 2.0]])  # one pair
    assert rank(flat, errors).item() == pytest.approx(math.log(2))
    assert rank(flat, torch.ones(2, 2)).item() == 0
