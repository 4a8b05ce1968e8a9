"""Who is hidden: scores of patches, orders drawn from them, and the split."""

from ccmim.masking.blocks import BlockSampler
from ccmim.masking.mask_token import MaskToken
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
from ccmim.masking.units import UnitSampler

__all__ = [
    'BlockSampler',
    'ClassAttentionScorer',
    'ConstantScorer',
    'GumbelSampler',
    'MaskToken',
    'MultinomialSampler',
    'PublishedSampler',
    'RandomSampler',
    'TokenSplit',
    'TopKSampler',
    'UnitSampler',
    'count_visible',
    'gumbel_order',
    'importance_gap',
    'published_order',
    'split_tokens',
    'take',
]
