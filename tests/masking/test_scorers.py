"""Scores are sums of the class token's attention over the chosen blocks."""

import pytest
import torch

from ccmim.masking import CentralityScorer, ClassAttentionScorer
from ccmim.masking.scorers import ConstantScorer, FeatureNormScorer


def test_sum_over_all_blocks(tiny_vit, images):
    vit = tiny_vit()
    by_block = vit.class_attention(vit.embed(images), [0, 1])
    torch.testing.assert_close(ClassAttentionScorer()(vit, images), by_block.sum(1))
    torch.testing.assert_close(ClassAttentionScorer(1)(vit, images), by_block[:, 0])
    torch.testing.assert_close(ClassAttentionScorer([1])(vit, images), by_block[:, 1])


def test_direction(tiny_vit, images):
    vit = tiny_vit()
    row = ClassAttentionScorer(direction='row')(vit, images)
    column = ClassAttentionScorer(direction='column')(vit, images)
    assert (row.sum(1) < 2).all()  # two rows, each of a distribution over 17 tokens
    assert not torch.allclose(row, column)


def test_no_gradient_and_no_cost(tiny_vit, images):
    vit = tiny_vit()
    assert not ClassAttentionScorer()(vit, images).requires_grad
    assert ConstantScorer()(vit, images).tolist() == [[1.0] * 16] * 4
    vit, images = vit.bfloat16(), images.bfloat16()
    lengths = FeatureNormScorer()(vit, images)
    vit.norm = torch.nn.Identity()  # which would make all about as long
    expected = vit.encode(vit.embed(images))[:, 1:].float().norm(dim=2)
    torch.testing.assert_close(lengths, expected, rtol=0.01, atol=0)


@pytest.mark.parametrize(
    'scorer',
    [ClassAttentionScorer(), CentralityScorer(centrality='degree')],
    ids=['class attention', 'centrality'],
)
def test_scores_are_of_the_whole_network(tiny_vit, images, scorer):
    """Stochastic depth, of training alone, drops nothing while patches are scored."""
    arch = dict(embed_dim=32, depth=4, num_heads=2)
    vit = tiny_vit(arch=arch, drop_path_rate=0.9)
    expected = scorer(vit.eval(), images)
    torch.testing.assert_close(scorer(vit.train(), images), expected)
    tokens = vit.embed(images)
    assert not torch.equal(vit.encode(tokens), vit.eval().encode(tokens))
