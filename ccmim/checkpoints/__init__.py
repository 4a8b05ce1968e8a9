"""Safe reading of checkpoints and strict loading of backbones."""

from ccmim.checkpoints.load import backbone_state, load_backbone
from ccmim.checkpoints.names import to_ccmim
from ccmim.checkpoints.safe_load import guard_mmengine, load_file

__all__ = [
    'backbone_state',
    'guard_mmengine',
    'load_backbone',
    'load_file',
    'to_ccmim',
]
