"""What a hidden patch must become."""

from ccmim.targets.frozen import normalise_features
from ccmim.targets.momentum import SlowNetwork
from ccmim.targets.perturbation import ColourPerturbation
from ccmim.targets.pixels import normalise_patches, patchify, unpatchify
from ccmim.targets.timm_teacher import TimmTeacher
from ccmim.targets.vit_teacher import ViTTeacher

__all__ = [
    'ColourPerturbation',
    'SlowNetwork',
    'TimmTeacher',
    'ViTTeacher',
    'normalise_features',
    'normalise_patches',
    'patchify',
    'unpatchify',
]
