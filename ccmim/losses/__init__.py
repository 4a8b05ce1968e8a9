"""Losses, one a file, and the gathering over processes."""

from ccmim.losses.contrast import SingleViewContrast, info_nce
from ccmim.losses.gather import gather_constant, gather_with_grad
from ccmim.losses.reconstruction import PixelReconstruction

__all__ = [
    'PixelReconstruction',
    'SingleViewContrast',
    'gather_constant',
    'gather_with_grad',
    'info_nce',
]
