"""Scores are sums of the class token's attention over the chosen blocks."""

import pytest
import torch

from ccmim.masking import ClassAttentionScorer, ConstantScorer


def test_sum_over_all_blocks(tiny_vit, images):
    vit = tiny_vit()
    tokens = vit.embed(images)
    by_block = vit.class_attention(tokens, [0, 1])
    torch.testing.assert_close(ClassAttentionScorer()(vit, tokens), by_block.sum(1))
    torch.testing.assert_close(ClassAttentionScorer(1)(vit, tokens), by_block[:, 0])
    torch.testing.assert_close(ClassAttentionScorer([1])(vit, tokens), by_block[:, 1])


def test_direction(tiny_vit, images):
    vit = tiny_vit()
    tokens = vit.embed(images)
    row = ClassAttentionScorer(direction='row')(vit, tokens)
    column = ClassAttentionScorer(direction='column')(vit, tokens)
    assert (row.sum(1) < 2).all()  # two rows, each of a distribution over 17 tokens
    assert not torch.allclose(row, column)


def test_no_gradient_and_no_cost(tiny_vit, images):
    vit = tiny_vit()
    tokens = vit.embed(images)
    assert not ClassAttentionScorer()(vit, tokens).requires_grad
    assert ConstantScorer()(None, tokens).tolist() == [[1.0] * 16] * 4


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(direction='diagonal'), "direction='diagonal'"),
        (dict(blocks='last'), "blocks='last'"),
        (dict(blocks=0), 'blocks=0'),
    ],
)
def test_bad_settings_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        ClassAttentionScorer(**wrong)
