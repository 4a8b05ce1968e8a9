"""Weights of Vision Transformers in the layouts of other projects, both ways."""

from ccmim.checkpoints.layouts.architecture import Architecture
from ccmim.checkpoints.layouts.read import Weights, read_weights
from ccmim.checkpoints.layouts.registry import LAYOUTS, READABLE, WRITABLE
from ccmim.checkpoints.layouts.write import write_weights

__all__ = [
    'LAYOUTS',
    'READABLE',
    'WRITABLE',
    'Architecture',
    'Weights',
    'read_weights',
    'write_weights',
]
