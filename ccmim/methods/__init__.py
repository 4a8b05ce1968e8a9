"""Pretraining methods, one a file."""

from ccmim.methods.ccmim import CCMIM
from ccmim.methods.conmim import ConMIM
from ccmim.methods.mae import MAE
from ccmim.methods.maskdistill import MaskDistill
from ccmim.methods.simmim import SimMIM

__all__ = ['CCMIM', 'MAE', 'ConMIM', 'MaskDistill', 'SimMIM']
