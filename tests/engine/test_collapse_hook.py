"""A collapse of keys, masks or scores is reported once, and nothing else is."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ccmim.engine import CollapseHook
from ccmim.engine.hooks import collapse as collapse_hook
from ccmim.engine.hooks.collapse import lead, likeness, mask_overlap, score_spread
from ccmim.masking import split_tokens

BATCH, PATCHES = 16, 64


@pytest.fixture(autouse=True)
def _always_due(monkeypatch):
    monkeypatch.setattr(collapse_hook, 'line_is_due', lambda runner, idx: idx % 2 == 0)


class Part(nn.Module):
    """Gives what it is told to."""

    def forward(self, *inputs):
        return self.give(*inputs)


def _healthy():
    queries = torch.randn(BATCH, 32)
    return dict(
        projected=[queries, queries + 0.5 * torch.randn(BATCH, 32)],
        mask=split_tokens(torch.rand(BATCH, PATCHES).argsort(dim=1), 0.75),
        scores=1 + 0.03 * torch.randn(BATCH, PATCHES),
    )


@pytest.fixture
def train():
    """Train steps, of which each gives what a function returns; the warnings."""

    def train(give, steps, patience=2, projector=True):
        method, warnings = nn.Module(), []
        method.scorer, method.sampler, method.contrast = Part(), Part(), Part()
        if projector:
            method.contrast.projector = Part()
        logger = SimpleNamespace(warning=warnings.append)
        runner = SimpleNamespace(model=method, logger=logger, iter=0)
        hook = CollapseHook(patience=patience)
        hook.before_train(runner)
        for step in range(steps):
            runner.iter = step
            seen = give()
            hook.before_train_iter(runner, step)
            method.scorer.give = lambda seen=seen: seen['scores']
            method.sampler.give = lambda seen=seen: seen['mask']
            method.scorer()
            method.sampler()
            if projector:
                method.contrast.projector.give = lambda x: x
                for tokens in seen['projected']:
                    method.contrast.projector(tokens)
            else:
                method.contrast.give = lambda *_: torch.zeros(())
                method.contrast(*seen['projected'])
            hook.after_train_iter(runner, step)
        hook.after_train(runner)
        return warnings

    return train


def test_measures_against_closed_forms():
    basis = torch.eye(8)
    assert likeness(basis).item() == pytest.approx(1 / 8)
    assert likeness(3 * basis[:1].repeat(8, 1)).item() == pytest.approx(1)
    assert likeness(torch.stack([basis, basis[:1].repeat(8, 1)])).item() == (
        pytest.approx((1 / 8 + 1) / 2)
    )
    assert lead(basis, 2 * basis).item() == pytest.approx(1 - 1 / 8)
    assert lead(basis, basis.flip(0)).item() == pytest.approx(-1 / 8)
    assert lead(basis, torch.zeros(8, 8)).item() == 0
    mask = torch.tensor([[True, True, False, False]])
    assert mask_overlap(mask.repeat(9, 1)).item() == pytest.approx(1)
    assert mask_overlap(torch.cat([mask, ~mask])).item() == pytest.approx(0)
    many = torch.rand(4000, 16).argsort(dim=1) < 12
    assert mask_overlap(many).item() == pytest.approx(1 / 4000, abs=3e-4)
    assert score_spread(torch.tensor([[1.0, 3.0]])).item() == pytest.approx(
        math.sqrt(2) / 2
    )


def test_a_healthy_run_is_left_in_peace(train):
    assert train(_healthy, 20) == []
    assert train(_healthy, 20, projector=False) == []


def _alike():
    key = torch.randn(1, 32)
    seen = _healthy()
    seen['projected'][1] = key + 0.01 * torch.randn(BATCH, 32)
    return seen


SIGNS = {
    'all keys of the contrast are alike': _alike,
    'the contrast cannot tell the images apart': lambda: {
        **_healthy(), 'projected': [torch.randn(BATCH, 32), torch.zeros(BATCH, 32)],
    },
    'nearly all images are masked at the same': lambda: {
        **_healthy(),
        'mask': split_tokens(torch.arange(PATCHES).repeat(BATCH, 1), 0.75),
    },
    'all patches score alike': lambda: {
        **_healthy(), 'scores': 1 + 1e-5 * torch.randn(BATCH, PATCHES),
    },
}  # fmt: skip


@pytest.mark.parametrize('text', SIGNS)
def test_each_collapse_is_one_line(train, text):
    """At the second line in a row, which is step 3; every other step has a line."""
    warnings = train(SIGNS[text], 20)
    first = [line for line in warnings if text in line]
    assert len(first) == 1
    assert first[0].startswith('Collapse at step 3: ')
    assert '\n' not in first[0]
    others = [line for line in warnings if text not in line]
    assert all('cannot tell' in line for line in others)  # as keys are alike
    assert train(SIGNS[text], 2) == []


def test_keys_of_a_contrast_without_projector(train):
    (line,) = train(_alike, 20, projector=False)
    assert 'all keys of the contrast are alike' in line


def test_a_recovery_begins_the_count_anew(train):
    turns = iter([_alike, _alike, _healthy, _healthy] * 5)
    assert train(lambda: next(turns)(), 20) == []


def test_equal_scores_on_purpose(train):
    """Those of random masking."""
    assert train(lambda: {**_healthy(), 'scores': torch.ones(BATCH, PATCHES)}, 9) == []


def test_small_batches_say_nothing_of_masks(train):
    def few():
        order = torch.arange(PATCHES).repeat(4, 1)
        return {**_healthy(), 'mask': split_tokens(order, 0.75)}

    assert train(few, 9) == []


def test_a_small_batch_of_a_method_with_masks_alone():
    method = nn.Module()
    method.sampler = Part()
    method.sampler.give = lambda: split_tokens(torch.rand(4, 9).argsort(dim=1), 0.75)
    runner = SimpleNamespace(model=method, iter=0)
    hook = CollapseHook()
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    method.sampler()
    hook.after_train_iter(runner, 0)


def test_a_method_of_other_parts():
    """MAE has no contrast, a detector none of them."""
    runner = SimpleNamespace(model=nn.Linear(1, 1), iter=0)
    hook = CollapseHook()
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    hook.after_train_iter(runner, 0)


def test_no_patience_is_named():
    with pytest.raises(ValueError, match='patience=0 must be positive'):
        CollapseHook(patience=0)
