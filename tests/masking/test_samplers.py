"""Masks partition the patches and prefer important ones as each sampler says."""

import pytest
import torch

from ccmim.masking import (
    CCMIMSampler,
    EasyToHardSampler,
    GumbelSampler,
    MultinomialSampler,
    RandomSampler,
    TopKSampler,
    count_visible,
    gumbel_order,
    importance_gap,
    published_order,
    split_tokens,
    take,
)

SAMPLERS = [CCMIMSampler(), GumbelSampler(0.5), MultinomialSampler(), TopKSampler()]
SAMPLERS += [TopKSampler(hint_ratio=0.2, hint_pool=0.5), RandomSampler()]


def _scores(batch=64, patches=16):
    """Attention-like scores: positive, most of the mass on few patches."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, patches, generator=generator).mul(2).softmax(1)


def _masked_share(sampler, scores, ratio, draws):
    return sampler(scores.expand(draws, -1), ratio).mask.float().mean(0)


@pytest.mark.parametrize('sampler', SAMPLERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize('ratio', [0.25, 0.75, 0.9])
def test_partition_is_exact(sampler, ratio):
    split = sampler(_scores(), ratio)
    visible = int(16 * (1 - ratio))
    assert split.ids_visible.shape == (64, visible)
    both = torch.cat([split.ids_visible, split.ids_masked], 1)
    assert torch.equal(both.sort(1).values, torch.arange(16).expand(64, -1))
    assert split.mask.gather(1, split.ids_masked).all()
    assert split.mask.dtype == torch.bool
    assert (split.mask.sum(1) == 16 - visible).all()


def test_restore_undoes_the_split():
    tokens = torch.randn(64, 16, 3)
    split = RandomSampler()(_scores(), 0.75)
    parts = [take(tokens, ids) for ids in (split.ids_visible, split.ids_masked)]
    assert torch.equal(take(torch.cat(parts, dim=1), split.ids_restore), tokens)


def test_published_order_is_the_published_formula():
    """argsort(A - U) = argsort(softmax(A) / softmax(U)), in float64 exactly."""
    generator = torch.Generator().manual_seed(2)
    scores = torch.rand(4000, 196, generator=generator, dtype=torch.float64).mul(0.3)
    noise = torch.rand(4000, 196, generator=generator, dtype=torch.float64)
    published = (scores.softmax(1) / noise.softmax(1)).argsort(1)
    assert torch.equal(published_order(scores, noise), published)


def test_published_sampling_probability():
    """P(masked) = clip(t + A, 0, 1): a difference of scores is one of probabilities."""
    scores = torch.full((1, 100), 0.05)
    scores[0, :10] += 0.1
    share = _masked_share(CCMIMSampler(), scores, 0.75, 20000)
    assert share.sum() == pytest.approx(75, abs=1e-3)
    assert share[:10].mean() - share[10:].mean() == pytest.approx(0.1, abs=0.01)


def test_gumbel_at_temperature_one_is_multinomial():
    """Both draw without replacement in proportion to the scores."""
    scores = _scores(1)
    gumbel = _masked_share(GumbelSampler(1.0), scores, 0.5, 40000)
    multinomial = _masked_share(MultinomialSampler(), scores, 0.5, 40000)
    torch.testing.assert_close(gumbel, multinomial, atol=0.015, rtol=0)
    assert gumbel.max() - gumbel.min() > 0.5


def test_temperature_goes_from_top_k_to_random():
    scores = _scores(batch=4000)
    noise = torch.rand(scores.shape)
    cold = gumbel_order(scores, noise, 1e-6)
    assert torch.equal(cold, scores.argsort(1))
    gaps = [
        importance_gap(scores, GumbelSampler(t)(scores, 0.5)).item()
        for t in (1e-3, 0.5, 1.0, 4.0, 1e4)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == pytest.approx(0, abs=0.08)


BY_RANK = [TopKSampler(), TopKSampler(hint_ratio=0.25, hint_pool=0.5)]
BY_RANK += [EasyToHardSampler(1.0, 1.0), EasyToHardSampler(0.5, 0.5)]


@pytest.mark.parametrize('sampler', BY_RANK)
def test_equal_scores_are_drawn_by_lot(sampler):
    """Stored scores of 8 bits are often equal; before training all may be."""
    scores = torch.ones(1, 16)
    share = _masked_share(sampler, scores, 0.5, 20000)
    torch.testing.assert_close(share, torch.full((16,), 0.5), atol=0.02, rtol=0)
    scores[0, 3:7] = 2.0  # are masked; of the equal others each as often
    sure, rest = [3, 4, 5, 6], [0, 1, 2, *range(7, 16)]
    share = _masked_share(sampler, scores, 0.5, 20000)
    expected = share[rest].mean().expand(12)
    torch.testing.assert_close(share[rest], expected, atol=0.02, rtol=0)
    assert (share[sure] > share[rest].max() + 0.1).all()


def test_hints_are_drawn_from_the_top():
    """A quarter of 8 masked patches, all among the 4 highest scores, become visible."""
    scores = _scores()
    split = TopKSampler(hint_ratio=0.25, hint_pool=0.25)(scores, 0.5)
    top = scores.topk(4).indices
    revealed = ~split.mask.gather(1, top)
    assert (revealed.sum(1) == 2).all()
    assert revealed.float().mean(0).min() > 0.2  # each of the four gets its turn


@pytest.mark.parametrize(('ratio', 'revealed'), [(0.2, 2), (0.3, 2), (0.33, 3)])
def test_the_number_of_hints_is_rounded(ratio, revealed):
    """Of 8 masked patches 1.6, 2.4 and 2.64."""
    scores = _scores()
    split = TopKSampler(hint_ratio=ratio, hint_pool=0.25)(scores, 0.5)
    top = scores.topk(4).indices
    assert ((~split.mask.gather(1, top)).sum(1) == revealed).all()
    pool = TopKSampler(hint_ratio=1.0, hint_pool=0.16)(scores, 0.5)  # 2.56 patches
    assert ((~pool.mask.gather(1, top)).sum(1) == 3).all()


def test_random_masks_are_uniform():
    share = _masked_share(RandomSampler(), _scores(1), 0.75, 20000)
    torch.testing.assert_close(share, torch.full((16,), 0.75), atol=0.015, rtol=0)


def test_importance_gap():
    scores = torch.tensor([[1.0, 1.0, 3.0, 3.0]], requires_grad=True)
    high = split_tokens(torch.tensor([[0, 1, 2, 3]]), 0.5)
    low = split_tokens(torch.tensor([[2, 3, 0, 1]]), 0.5)
    assert importance_gap(scores, high).numpy() == pytest.approx(1.0)
    assert importance_gap(scores, low).numpy() == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ('patches', 'ratio', 'visible'),
    [(100, 0.9, 10), (196, 0.75, 49), (10, 0.7, 3), (196, 0.6, 78), (49, 0.6, 19)],
)
def test_counts_are_those_of_exact_numbers(patches, ratio, visible):
    """100 * (1 - 0.9) is 9.999... in floats; 78.4 is 78, as in MAE."""
    assert count_visible(patches, ratio) == visible
    scores = torch.ones(1, patches)
    assert RandomSampler()(scores, ratio).ids_visible.shape[1] == visible


@pytest.mark.parametrize('ratio', [0.0, 1.0, 0.999, -0.5, 1.5])
def test_impossible_ratio_is_named(ratio):
    with pytest.raises(ValueError, match=f'mask_ratio={ratio} leaves'):
        RandomSampler()(_scores(), ratio)
