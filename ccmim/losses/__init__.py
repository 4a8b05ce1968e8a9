"""Losses, one per file, and gathering over processes."""

from ccmim.losses.anchors import (
    Anchor,
    GramAnchor,
    KernelAnchor,
    gram_distance,
    kernel_alignment,
)
from ccmim.losses.contrast import SingleViewContrast, info_nce
from ccmim.losses.cosine import products, unit
from ccmim.losses.distillation import FeatureDistillation
from ccmim.losses.gather import gather_constant, gather_with_grad
from ccmim.losses.graph_contrast import GraphContrast
from ccmim.losses.image_text_contrast import ImageTextContrast
from ccmim.losses.neighbor_order import NeighborOrder
from ccmim.losses.object_extent import ObjectExtent, likeness
from ccmim.losses.patch_contrast import PatchContrast
from ccmim.losses.queue_contrast import QueueContrast
from ccmim.losses.reconstruction import HardnessRanking, PixelReconstruction
from ccmim.losses.relations import PatchRelations, QueueRelations
from ccmim.losses.spatial_context import SpatialContext
from ccmim.losses.two_view_contrast import TwoViewContrast
from ccmim.losses.visual_dictionary import VisualDictionary

__all__ = [
    'Anchor',
    'FeatureDistillation',
    'GramAnchor',
    'GraphContrast',
    'HardnessRanking',
    'ImageTextContrast',
    'KernelAnchor',
    'NeighborOrder',
    'ObjectExtent',
    'PatchContrast',
    'PatchRelations',
    'PixelReconstruction',
    'QueueContrast',
    'QueueRelations',
    'SingleViewContrast',
    'SpatialContext',
    'TwoViewContrast',
    'VisualDictionary',
    'gather_constant',
    'gather_with_grad',
    'gram_distance',
    'info_nce',
    'kernel_alignment',
    'likeness',
    'products',
    'unit',
]
