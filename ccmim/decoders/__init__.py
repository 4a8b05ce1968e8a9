"""What turns tokens back into pixels, or into other targets."""

from ccmim.decoders.cross_decoder import CrossDecoder
from ccmim.decoders.dense_projection import DenseProjection
from ccmim.decoders.hardness_predictor import HardnessPredictor
from ccmim.decoders.linear_head import LinearHead
from ccmim.decoders.mae_decoder import MAEDecoder
from ccmim.decoders.projection_head import ProjectionHead

__all__ = [
    'CrossDecoder',
    'DenseProjection',
    'HardnessPredictor',
    'LinearHead',
    'MAEDecoder',
    'ProjectionHead',
]
