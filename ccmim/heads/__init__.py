"""Decoders, projections and predictors."""

from ccmim.heads.cross_decoder import CrossDecoder
from ccmim.heads.hardness_predictor import HardnessPredictor
from ccmim.heads.mae_decoder import MAEDecoder
from ccmim.heads.projections import (
    DenseProjection,
    LinearHead,
    MLPProjection,
    ProjectionHead,
)

__all__ = [
    'CrossDecoder',
    'DenseProjection',
    'HardnessPredictor',
    'LinearHead',
    'MAEDecoder',
    'MLPProjection',
    'ProjectionHead',
]
