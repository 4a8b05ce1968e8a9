"""Who is hidden: scores of patches, orders drawn from them, and the split."""

from ccmim.masking.block_attention import block_attention
from ccmim.masking.blocks import BlockSampler
from ccmim.masking.centrality import CentralityScorer, degree, eigenvector, pagerank
from ccmim.masking.easy_to_hard import EasyToHardSampler
from ccmim.masking.map_crop import crop_maps
from ccmim.masking.mask_token import MaskToken
from ccmim.masking.normalised_attention import NormalisedAttentionScorer
from ccmim.masking.partial import some_masked
from ccmim.masking.samplers import (
    GumbelSampler,
    KeepSampler,
    MultinomialSampler,
    PublishedSampler,
    RandomSampler,
    TopKSampler,
    gumbel_order,
    published_order,
)
from ccmim.masking.scorers import ClassAttentionScorer, ConstantScorer, importance_gap
from ccmim.masking.split import TokenSplit, count_visible, split_tokens, take
from ccmim.masking.staged import StagedSampler
from ccmim.masking.stored import StoredScorer, stored_scorer
from ccmim.masking.throwing import ThrowSampler
from ccmim.masking.units import UnitSampler

__all__ = [
    'BlockSampler',
    'CentralityScorer',
    'ClassAttentionScorer',
    'ConstantScorer',
    'EasyToHardSampler',
    'GumbelSampler',
    'KeepSampler',
    'MaskToken',
    'MultinomialSampler',
    'NormalisedAttentionScorer',
    'PublishedSampler',
    'RandomSampler',
    'StagedSampler',
    'StoredScorer',
    'ThrowSampler',
    'TokenSplit',
    'TopKSampler',
    'UnitSampler',
    'block_attention',
    'count_visible',
    'crop_maps',
    'degree',
    'eigenvector',
    'gumbel_order',
    'importance_gap',
    'pagerank',
    'published_order',
    'some_masked',
    'split_tokens',
    'stored_scorer',
    'take',
]
