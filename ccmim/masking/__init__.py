"""Who is hidden: scores of patches, orders drawn from them, and the split."""

from ccmim.masking.samplers import (
    GumbelSampler,
    MultinomialSampler,
    PublishedSampler,
    RandomSampler,
    TopKSampler,
    gumbel_order,
    published_order,
)
from ccmim.masking.scorers import ClassAttentionScorer, ConstantScorer, importance_gap
from ccmim.masking.split import TokenSplit, count_visible, split_tokens, take

__all__ = [
    'ClassAttentionScorer',
    'ConstantScorer',
    'GumbelSampler',
    'MultinomialSampler',
    'PublishedSampler',
    'RandomSampler',
    'TokenSplit',
    'TopKSampler',
    'count_visible',
    'gumbel_order',
    'importance_gap',
    'published_order',
    'split_tokens',
    'take',
]
