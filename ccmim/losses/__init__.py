"""Losses, one a file, and the gathering over processes."""

from ccmim.losses.contrast import SingleViewContrast, info_nce
from ccmim.losses.distillation import FeatureDistillation
from ccmim.losses.gather import gather_constant, gather_with_grad
from ccmim.losses.patch_contrast import PatchContrast
from ccmim.losses.reconstruction import PixelReconstruction

__all__ = [
    'FeatureDistillation',
    'PatchContrast',
    'PixelReconstruction',
    'SingleViewContrast',
    'gather_constant',
    'gather_with_grad',
    'info_nce',
]
