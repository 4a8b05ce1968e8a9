"""What a network, or a way of masking, is worth."""

from ccmim.evaluation.features import extract_features
from ccmim.evaluation.knn import knn_accuracy, nearest, vote
from ccmim.evaluation.linear import fit_linear, linear_accuracy
from ccmim.evaluation.mask_overlap import mask_overlap

__all__ = [
    'extract_features',
    'fit_linear',
    'knn_accuracy',
    'linear_accuracy',
    'mask_overlap',
    'nearest',
    'vote',
]
