"""Samplers that throw patches away, and those that change in the course of a run."""

import pytest
import torch
from mmengine.logging import MessageHub

from ccmim.masking import (
    AMTSampler,
    EasyToHardSampler,
    MILANSampler,
    MultinomialSampler,
    SwitchSampler,
    TopKSampler,
)

RANDOM = dict(type='ccmim.RandomSampler')
THROW = dict(type='ccmim.AMTSampler', throw_ratio=0.4)


def _scores(batch=64, patches=16):
    """Attention-like scores: positive, most of the mass on few patches."""
    generator = torch.Generator().manual_seed(5)  # not the stream of the samplers
    return torch.randn(batch, patches, generator=generator).mul(2).softmax(1)


def _go_to(**info):
    for name, value in info.items():
        MessageHub.get_current_instance().update_info(name, value)


def test_published_shares_of_a_full_image():
    """0.45 / 0.40 / 0.15 of 196, and 0.44 / 0.26 / 0.30 of 49 units."""
    split = AMTSampler(0.4)(torch.ones(2, 196), 0.45)
    assert (split.ids_masked.shape[1], split.ids_visible.shape[1]) == (89, 29)
    units = AMTSampler(0.26)(torch.ones(2, 49), 0.44)
    assert (units.ids_masked.shape[1], units.ids_visible.shape[1]) == (22, 14)
    exact = AMTSampler(0.4)(torch.ones(2, 100), 0.3)  # 30 - 7e-15 in floats
    assert (exact.ids_masked.shape[1], exact.ids_visible.shape[1]) == (30, 30)
    assert (split.mask.sum(1) == 89).all()
    assert not split.mask.gather(1, split.ids_visible).any()


def test_masks_are_a_multinomial_draw():
    """As often as `torch.multinomial` would mask each patch, and show it."""
    scores = _scores(1).expand(40000, -1)
    split = AMTSampler(0.25)(scores, 0.5)
    drawn = torch.multinomial(scores, 16)
    shown = torch.zeros(40000, 16).scatter_(1, split.ids_visible, 1.0)
    published = torch.zeros(40000, 16).scatter_(1, drawn[:, 12:], 1.0)
    multinomial = MultinomialSampler()(scores, 0.5).mask
    share = split.mask.float().mean(0)
    torch.testing.assert_close(share, multinomial.float().mean(0), atol=0.015, rtol=0)
    torch.testing.assert_close(shown.mean(0), published.mean(0), atol=0.015, rtol=0)
    assert share.max() - share.min() > 0.5


def test_kept_is_a_multinomial_draw_of_the_visible():
    scores = _scores(1).expand(40000, -1)
    kept = ~MILANSampler()(scores, 0.75).mask
    drawn = torch.multinomial(scores, 4)
    expected = torch.zeros(40000, 16).scatter_(1, drawn, 1.0).mean(0)
    torch.testing.assert_close(kept.float().mean(0), expected, atol=0.015, rtol=0)
    assert kept.float().mean(0)[scores[0].argmax()] > 0.9


@pytest.mark.parametrize(('done', 'hard'), [(0, 3), (30, 4), (50, 6), (100, 9)])
def test_easy_to_hard(done, hard):
    """Of 12 masked patches, the int(12 * (0.25 + 0.5 * done)) hardest always are."""
    if done:  # else without a run
        _go_to(iter=done, max_iters=100)
    scores = _scores(4000)
    split = EasyToHardSampler(0.25, 0.75)(scores, 0.75)
    assert (split.mask.sum(1) == 12).all()
    order = scores.argsort(1, descending=True)
    sorted_mask = split.mask.gather(1, order)
    assert sorted_mask[:, :hard].all()
    rest = sorted_mask[:, hard:].float().mean(0)
    expected = torch.full_like(rest, (12 - hard) / (16 - hard))
    torch.testing.assert_close(rest, expected, atol=0.03, rtol=0)


def test_hard_shares_by_epoch_are_those_of_its_end():
    """HPM's code: int(M * 0.5 * (epoch + 1) / epochs), whatever the step."""
    scores, sampler = _scores(64), EasyToHardSampler(0.0, 0.5, by_epoch=True)
    order = scores.argsort(1, descending=True)
    for epoch, hard in ((None, 6), (0, 1), (1, 3), (2, 4), (3, 6)):
        if epoch is not None:  # else without a run
            _go_to(epoch=epoch, max_epochs=4, iter=10 * epoch, max_iters=40)
        sorted_mask = sampler(scores, 0.75).mask.gather(1, order)
        assert sorted_mask[:, :hard].all()
        assert not sorted_mask[:, hard].all()


def test_stages_change_with_the_epoch():
    sampler = SwitchSampler(RANDOM, THROW, begin=1, first_ratio=0.75)
    counts = []
    for run in ({}, dict(epoch=0), dict(epoch=1), dict(epoch=2)):
        _go_to(**run)
        split = sampler(torch.ones(3, 20), 0.45)
        counts.append((split.ids_masked.shape[1], split.ids_visible.shape[1]))
    assert counts == [(15, 5), (15, 5), (9, 3), (9, 3)]


@pytest.mark.parametrize(('epochs', 'begin'), [(8, 2), (40, 10), (2, 1), (1, 0)])
def test_a_stage_may_begin_at_a_fraction_of_the_run(epochs, begin):
    """So that one key changes the length: never before one epoch, never too late."""
    sampler, masked = SwitchSampler(RANDOM, THROW, begin=0.25, first_ratio=0.75), []
    for epoch in range(epochs):
        _go_to(epoch=epoch, max_epochs=epochs)
        masked.append(sampler(torch.ones(1, 20), 0.45).ids_masked.shape[1])
    assert masked == begin * [15] + (epochs - begin) * [9]


def test_a_stage_that_never_comes_is_an_error():
    sampler = SwitchSampler(RANDOM, THROW, begin=2)
    _go_to(epoch=0, max_epochs=2)
    with pytest.raises(ValueError, match='begin=2 of SwitchSampler goes beyond'):
        sampler(torch.ones(3, 20), 0.45)


def test_attmask_is_the_published_formula():
    """High: the top M. Hints: of the top M + h, all but h from the top pool."""
    scores = _scores(256, 20)
    order = scores.argsort(1, descending=True)
    high = TopKSampler()(scores, 0.5).mask
    assert torch.equal(high, torch.zeros_like(high).scatter_(1, order[:, :10], True))
    hints, pool = 3, 5
    mask = TopKSampler(hint_ratio=0.2, hint_pool=0.25)(scores, 0.8).mask
    by_rank = mask.gather(1, order)
    assert (by_rank[:, :pool].sum(1) == pool - hints).all()
    assert by_rank[:, pool : 16 + hints].all()
    assert not by_rank[:, 16 + hints :].any()
