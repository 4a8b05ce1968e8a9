"""Pictures of each pretraining method: inputs, masks, predictions.

B batch, N patches, M masked, H W image.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ccmim.masking import TokenSplit
from ccmim.methods import Prediction
from ccmim.pictures.patch_colors import principal_colors
from ccmim.pictures.tiles import SIDE, enlarge, heat, sheet, spread, tile_size
from ccmim.teachers import unpatchify

_MASKED, _THROWN = 128, 32  # grays


@torch.no_grad()
def method_columns(
    method: nn.Module, images: Tensor, side: int = SIDE
) -> dict[str, np.ndarray]:
    """Draw what a method's ``predict`` returns for images.

    - The original, unless images are pairs of views.
    - Of methods that mask: the importance of the patches and the chosen mask; then the
      reconstruction where pixels are predicted, or the predicted and the true features
      as colors.
    - Other images that a network was given, such as changed colors.

    Masks and changes of color are drawn from the default generators.

    Args:
        method: A pretraining method with mmengine's image preprocessor, in evaluation
            mode.
        images: uint8 RGB images of shape (B, 3, H, W), or what the method takes, such
            as two views one above the other, (B, 3, 2H, W).
        side: Pixels of a tile's longer side, about.

    Returns:
        uint8 tiles of shape (B, height, width, 3) by label.
    """
    return _columns(method, *_predict(method, images), side)


@torch.no_grad()
def method_sheet(
    method: nn.Module, images: Tensor, side: int = SIDE, caption: str = ''
) -> np.ndarray:
    """Draw a row an image with labeled columns: see ``method_columns``.

    Args:
        method: A pretraining method, in evaluation mode.
        images: What the method takes, uint8.
        side: Pixels of a tile's longer side, about.
        caption: A line below.

    Returns:
        A uint8 RGB picture of shape (height, width, 3).
    """
    normalized, made = _predict(method, images)
    columns = _columns(method, normalized, made, side)
    return sheet(columns, caption=f'{caption} {made.note}'.rstrip())


def reconstruction_sheet(method: nn.Module, images: Tensor) -> np.ndarray:
    """Draw the columns of a method pixel by pixel, without labels.

    Args:
        method: A pretraining method with mmengine's image preprocessor; it is in
            evaluation mode afterwards.
        images: uint8 RGB images of shape (B, 3, H, W).

    Returns:
        An RGB picture of shape (B * (H + 4), columns * (W + 4), 3), uint8.
    """
    method.eval()
    columns = method_columns(method, images, max(images.shape[2:])).values()
    edges = (0, 0), (0, 4), (0, 4), (0, 0)
    tiles = [np.pad(tile, edges, constant_values=255) for tile in columns]
    return np.concatenate(np.concatenate(tiles, axis=2))


def pixels(method: nn.Module, images: Tensor) -> Tensor:
    """Undo the normalization of images (B, 3, H, W): values in [0, 1], on the host."""
    statistics = dict(method.data_preprocessor.named_buffers())  # none: as they are
    if 'mean' in statistics:
        images = images * statistics['std'] + statistics['mean']
    return (images.float().cpu() / 255).clamp(0, 1)


def _predict(method: nn.Module, images: Tensor) -> tuple[Tensor, Prediction]:
    normalized = method.data_preprocessor(dict(inputs=images))['inputs']
    return normalized, method(normalized, mode='predict')


def _columns(
    method: nn.Module, images: Tensor, made: Prediction, side: int
) -> dict[str, np.ndarray]:
    one = images.chunk(method.num_views, dim=2)[0]
    grid = method.backbone.grid_of(one)
    size = tile_size(grid, side)
    columns = {}
    if method.num_views == 1:
        columns['original'] = enlarge(pixels(method, images), size)
    if made.split is not None:
        columns |= _masked(method, made, grid, columns['original'])
    for label, view in made.views.items():
        columns[label] = enlarge(pixels(method, view), size)
    return columns


def _masked(
    method: nn.Module, made: Prediction, grid: tuple[int, int], original: np.ndarray
) -> dict[str, np.ndarray]:
    size = original.shape[1:3]
    unseen, dropped = _unseen(made.split, grid, size)
    equal = bool((made.scores == made.scores[:, :1]).all())
    columns = {
        'importance (all alike)' if equal else 'importance': heat(
            made.scores.float().cpu(), grid, original
        ),
        'mask (dark: left out)' if dropped.any() else 'mask': _covered(
            original, unseen
        ),
    }
    if made.pred is not None and made.space == 'pixels':
        completed = unpatchify(made.completed, method.backbone.patch_size, grid)
        drawn = enlarge(pixels(method, completed), size)
        columns['reconstruction'] = _covered(drawn, np.where(dropped, unseen, 0))
    elif made.pred is not None:
        columns |= _features(made, grid, size)
    return columns


def _unseen(
    split: TokenSplit, grid: tuple[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The gray of masked pixels, 0 where visible, and where patches are dropped."""
    visible = torch.zeros_like(split.mask).scatter(1, split.ids_visible, True)
    gray = split.mask * _MASKED + ~(split.mask | visible) * _THROWN
    gray = spread(gray, grid, size)[..., None]
    return gray, gray == _THROWN


def _covered(tiles: np.ndarray, gray: np.ndarray) -> np.ndarray:
    return np.where(gray > 0, gray, tiles).astype(np.uint8)


def _features(
    made: Prediction, grid: tuple[int, int], size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Colors of what is predicted and of what it should be, of the same meaning."""
    theirs, ours = principal_colors(made.target, made.completed)
    drawn = (255 * spread(ours, grid, size)).round().astype(np.uint8)
    visible = spread(~made.split.mask, grid, size)[..., None] * 255
    return {
        'predicted features': _covered(drawn, visible),
        "teacher's features": (255 * spread(theirs, grid, size)).astype(np.uint8),
    }
