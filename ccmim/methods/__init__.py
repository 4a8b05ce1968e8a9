"""Pretraining methods, one a file."""

from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.methods.ccmim import CCMIM
from ccmim.methods.conmim import ConMIM
from ccmim.methods.densecl import DenseCL
from ccmim.methods.growing_images import GrowingImages
from ccmim.methods.hpm import HPM
from ccmim.methods.mae import MAE
from ccmim.methods.maskdistill import MaskDistill
from ccmim.methods.simclr import SimCLR
from ccmim.methods.simmim import SimMIM

__all__ = [
    'CCMIM',
    'HPM',
    'MAE',
    'ConMIM',
    'DenseCL',
    'GrowingImages',
    'MaskDistill',
    'Prediction',
    'PretrainMethod',
    'SimCLR',
    'SimMIM',
]
