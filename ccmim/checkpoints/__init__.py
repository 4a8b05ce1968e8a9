"""Safe reading and writing of checkpoints, and strict loading of backbones."""

from ccmim.checkpoints.atomic import WriteError, write_atomically
from ccmim.checkpoints.finite import check_features, refuse_nonfinite
from ccmim.checkpoints.load import backbone_state, load_backbone
from ccmim.checkpoints.names import to_ccmim
from ccmim.checkpoints.resume import ResumeError, choose_resume
from ccmim.checkpoints.safe_load import guard_mmengine, load_file
from ccmim.checkpoints.verify import verify_archive, verify_checkpoint

__all__ = [
    'ResumeError',
    'WriteError',
    'backbone_state',
    'check_features',
    'choose_resume',
    'guard_mmengine',
    'load_backbone',
    'load_file',
    'refuse_nonfinite',
    'to_ccmim',
    'verify_archive',
    'verify_checkpoint',
    'write_atomically',
]
