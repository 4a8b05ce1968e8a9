"""Pictures of what a network learns."""

from ccmim.pictures.attention import attention_sheet, head_attention
from ccmim.pictures.image_map import draw_map, map_figure, project
from ccmim.pictures.method_pictures import (
    method_columns,
    method_sheet,
    reconstruction_sheet,
)
from ccmim.pictures.patch_colours import colour_sheet, principal_colours
from ccmim.pictures.patch_neighbours import nearest_patches, neighbour_sheet
from ccmim.pictures.tiles import sheet

__all__ = [
    'attention_sheet',
    'colour_sheet',
    'draw_map',
    'head_attention',
    'map_figure',
    'method_columns',
    'method_sheet',
    'nearest_patches',
    'neighbour_sheet',
    'principal_colours',
    'project',
    'reconstruction_sheet',
    'sheet',
]
