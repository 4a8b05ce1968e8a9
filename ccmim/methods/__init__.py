"""Pretraining methods, one per file, found automatically."""

from importlib import import_module
from pkgutil import iter_modules

from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.methods.ccmim import CCMIM
from ccmim.methods.conmim import ConMIM
from ccmim.methods.densecl import DenseCL
from ccmim.methods.flip import FLIP
from ccmim.methods.hpm import HPM
from ccmim.methods.mae import MAE
from ccmim.methods.maskdistill import MaskDistill
from ccmim.methods.neco import NeCo
from ccmim.methods.progressive_resize import ProgressiveResize
from ccmim.methods.relational_distill import RelationalDistill
from ccmim.methods.simclr import SimCLR
from ccmim.methods.simmim import SimMIM
from ccmim.methods.soho import SOHO
from ccmim.renamed import old_names

__all__ = [
    'CCMIM',
    'FLIP',
    'HPM',
    'MAE',
    'SOHO',
    'ConMIM',
    'DenseCL',
    'NeCo',
    'ProgressiveResize',
    'MaskDistill',
    'Prediction',
    'PretrainMethod',
    'RelationalDistill',
    'SimCLR',
    'SimMIM',
]

__getattr__ = old_names(__name__)

for _module in iter_modules(__path__):  # registers what is in it
    import_module(f'{__name__}.{_module.name}')
