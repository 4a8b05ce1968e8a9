"""Pictures of what a network has learned."""

from ccmim.pictures.attention import attention_sheet, head_attention
from ccmim.pictures.image_map import draw_map, map_figure, project
from ccmim.pictures.method_pictures import (
    method_columns,
    method_sheet,
    reconstruction_sheet,
)
from ccmim.pictures.patch_colors import color_sheet, principal_colors
from ccmim.pictures.patch_neighbors import nearest_patches, neighbor_sheet
from ccmim.pictures.tiles import sheet

__all__ = [
    'attention_sheet',
    'color_sheet',
    'draw_map',
    'head_attention',
    'map_figure',
    'method_columns',
    'method_sheet',
    'nearest_patches',
    'neighbor_sheet',
    'principal_colors',
    'project',
    'reconstruction_sheet',
    'sheet',
]
