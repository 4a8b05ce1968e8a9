"""Pretraining methods, one a file."""

from ccmim.methods.ccmim import CCMIM
from ccmim.methods.mae import MAE

__all__ = ['CCMIM', 'MAE']
