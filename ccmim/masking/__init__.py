"""Masking: scorers rate patches, samplers draw masks from the scores.

A sampler returns a ``TokenSplit``: the ids of visible and of masked patches.
"""

from ccmim.masking.block_samplers import BlockSampler, MaskUnitSampler
from ccmim.masking.centrality import CentralityScorer, degree, eigenvector, pagerank
from ccmim.masking.samplers import (
    AMTSampler,
    CCMIMSampler,
    GumbelSampler,
    MILANSampler,
    MultinomialSampler,
    RandomSampler,
    SameScoreSampler,
    TopKSampler,
    gumbel_order,
    published_order,
)
from ccmim.masking.schedules import EasyToHardSampler, SwitchSampler
from ccmim.masking.scorers import (
    ClassAttentionScorer,
    ConstantScorer,
    FeatureNormScorer,
    NormalizedAttentionScorer,
    block_attention,
    importance_gap,
)
from ccmim.masking.split import (
    MaskToken,
    TokenSplit,
    count_visible,
    encode_with_mask_tokens,
    some_masked,
    split_tokens,
)
from ccmim.masking.stored_scores import StoredScorer, crop_maps, stored_scorer
from ccmim.renamed import old_names
from ccmim.vit import take

__all__ = [
    'BlockSampler',
    'CentralityScorer',
    'ClassAttentionScorer',
    'ConstantScorer',
    'EasyToHardSampler',
    'FeatureNormScorer',
    'GumbelSampler',
    'MILANSampler',
    'MaskToken',
    'MultinomialSampler',
    'NormalizedAttentionScorer',
    'CCMIMSampler',
    'RandomSampler',
    'SameScoreSampler',
    'SwitchSampler',
    'StoredScorer',
    'AMTSampler',
    'TokenSplit',
    'TopKSampler',
    'MaskUnitSampler',
    'block_attention',
    'count_visible',
    'encode_with_mask_tokens',
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

__getattr__ = old_names(__name__)
