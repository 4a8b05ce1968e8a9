"""Evaluation of features and masks."""

from ccmim.evaluation.features import extract_features, feature_rank
from ccmim.evaluation.knn import knn_accuracy, nearest, vote
from ccmim.evaluation.linear import fit_linear, fit_probe, linear_accuracy
from ccmim.evaluation.mask_overlap import mask_overlap
from ccmim.evaluation.patch_knn import (
    labeled_maps,
    remember_patches,
    retrieval_overlaps,
)
from ccmim.evaluation.zero_shot import (
    class_vectors,
    retrieval_chance,
    retrieval_recall,
    zero_shot_accuracy,
)

__all__ = [
    'class_vectors',
    'extract_features',
    'feature_rank',
    'fit_linear',
    'fit_probe',
    'knn_accuracy',
    'labeled_maps',
    'linear_accuracy',
    'mask_overlap',
    'nearest',
    'remember_patches',
    'retrieval_overlaps',
    'retrieval_chance',
    'retrieval_recall',
    'vote',
    'zero_shot_accuracy',
]
