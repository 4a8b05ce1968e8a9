"""Targets for masked patches, and the networks that provide them."""

from ccmim.renamed import old_names
from ccmim.teachers.cached_teacher import CachedTeacher
from ccmim.teachers.ema_teacher import EMATeacher
from ccmim.teachers.frozen import normalize_features
from ccmim.teachers.frozen_start import FrozenStart
from ccmim.teachers.network_scorer import FrozenScorer, MomentumScorer
from ccmim.teachers.perturbation import ColorPerturbation
from ccmim.teachers.pixels import normalize_patches, patchify, unpatchify
from ccmim.teachers.shared_crops import SharedCrops
from ccmim.teachers.style_perturbation import StylePerturbation
from ccmim.teachers.timm_teacher import TimmTeacher
from ccmim.teachers.vit_teacher import ViTTeacher

__all__ = [
    'CachedTeacher',
    'ColorPerturbation',
    'EMATeacher',
    'FrozenScorer',
    'FrozenStart',
    'MomentumScorer',
    'SharedCrops',
    'StylePerturbation',
    'TimmTeacher',
    'ViTTeacher',
    'normalize_features',
    'normalize_patches',
    'patchify',
    'unpatchify',
]

__getattr__ = old_names(__name__)
