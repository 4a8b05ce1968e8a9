"""Read weights of any format; read and write checkpoints safely."""

from ccmim.checkpoints.architecture import Architecture, architecture_of
from ccmim.checkpoints.atomic import write_atomically
from ccmim.checkpoints.finite import check_features, refuse_nonfinite
from ccmim.checkpoints.layouts import LAYOUTS, READABLE, WRITABLE, to_ccmim
from ccmim.checkpoints.load import build_backbone, load_backbone, network_of
from ccmim.checkpoints.read import Weights, read_weights
from ccmim.checkpoints.resume import ResumeError, choose_resume
from ccmim.checkpoints.safe_load import guard_mmengine, load_file
from ccmim.checkpoints.sources import is_weights
from ccmim.checkpoints.verify import verify_archive, verify_checkpoint
from ccmim.checkpoints.write import write_weights
from ccmim.files import WriteError, replacing, write_file

__all__ = [
    'LAYOUTS',
    'READABLE',
    'WRITABLE',
    'Architecture',
    'ResumeError',
    'Weights',
    'WriteError',
    'architecture_of',
    'build_backbone',
    'check_features',
    'choose_resume',
    'guard_mmengine',
    'is_weights',
    'load_backbone',
    'load_file',
    'network_of',
    'read_weights',
    'refuse_nonfinite',
    'to_ccmim',
    'verify_archive',
    'verify_checkpoint',
    'replacing',
    'write_atomically',
    'write_file',
    'write_weights',
]
