"""What a hidden patch must become."""

from ccmim.teachers.frozen import normalise_features
from ccmim.teachers.frozen_start import FrozenStart
from ccmim.teachers.momentum import EMATeacher
from ccmim.teachers.perturbation import ColourPerturbation
from ccmim.teachers.pixels import normalise_patches, patchify, unpatchify
from ccmim.teachers.timm_teacher import TimmTeacher
from ccmim.teachers.vit_teacher import ViTTeacher

__all__ = [
    'ColourPerturbation',
    'FrozenStart',
    'EMATeacher',
    'TimmTeacher',
    'ViTTeacher',
    'normalise_features',
    'normalise_patches',
    'patchify',
    'unpatchify',
]
