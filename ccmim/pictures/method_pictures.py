"""What each pretraining method does to its images, in columns.

B batch, N patches, M masked, H W image.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ccmim.masking import TokenSplit
from ccmim.pictures.patch_colours import principal_colours
from ccmim.pictures.reconstruction import complete, hide, predict
from ccmim.pictures.tiles import SIDE, enlarge, heat, sheet, spread, tile_size
from ccmim.teachers import normalise_features, unpatchify

_MASKED, _THROWN = 128, 32  # greys


@torch.no_grad()
def method_columns(
    method: nn.Module, images: Tensor, side: int = SIDE
) -> dict[str, np.ndarray]:
    """Draw what there is to see of a method.

    - Methods that mask: the original, the importance of the patches, the chosen mask;
      then the reconstruction where pixels are predicted, the predicted and the
      teacher's features as colours where those are, or what the slow network sees.
    - Methods of two views: each view before and after the change of colours.
    - Others: the original.

    Masks and changes of colour are drawn from the default generators.

    Args:
        method: A pretraining method with mmengine's image preprocessor, in evaluation
            mode.
        images: uint8 RGB images of shape (B, 3, H, W), or what the method takes, such
            as two views one above the other, (B, 3, 2H, W).
        side: Pixels of a tile's longer side, about.

    Returns:
        uint8 tiles of shape (B, height, width, 3) by label.
    """
    normalised = method.data_preprocessor(dict(inputs=images))['inputs']
    if hasattr(method, 'sampler'):
        return _masked(method, normalised, side)
    if hasattr(method, 'perturbation'):
        return _views(method, normalised, side)
    size = tile_size(method.backbone.grid_of(normalised), side)
    return dict(original=enlarge(pixels(method, normalised), size))


def method_sheet(
    method: nn.Module, images: Tensor, side: int = SIDE, caption: str = ''
) -> np.ndarray:
    """Draw a row an image with labelled columns: see ``method_columns``.

    Args:
        method: A pretraining method, in evaluation mode.
        images: What the method takes, uint8.
        side: Pixels of a tile's longer side, about.
        caption: A line below.

    Returns:
        A uint8 RGB picture of shape (height, width, 3).
    """
    columns = method_columns(method, images, side)
    if 'reconstruction' in columns and method.reconstruction.norm_pix:
        caption += ' Predicted patches have the brightness and contrast of the true.'
    return sheet(columns, caption=caption)


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
    """Undo the normalisation of images (B, 3, H, W): values in [0, 1], on the host."""
    preprocessor = method.data_preprocessor
    if hasattr(preprocessor, 'mean'):
        images = images * preprocessor.std + preprocessor.mean
    return (images.float().cpu() / 255).clamp(0, 1)


def _masked(method: nn.Module, images: Tensor, side: int) -> dict[str, np.ndarray]:
    grid = method.backbone.grid_of(images)
    size = tile_size(grid, side)
    original = enlarge(pixels(method, images), size)
    scores, split = hide(method, images)
    unseen, thrown = _unseen(split, grid, size)
    equal = bool((scores == scores[:, :1]).all())
    columns = {
        'original': original,
        'importance (all alike)' if equal else 'importance': heat(
            scores.float().cpu(), grid, original
        ),
        'mask (dark: left out)' if thrown.any() else 'mask': _covered(original, unseen),
    }
    if hasattr(method, 'reconstruction'):
        patches = complete(method, images, split, predict(method, images, split))
        completed = unpatchify(patches, method.backbone.patch_size, grid)
        drawn = enlarge(pixels(method, completed), size)
        columns['reconstruction'] = _covered(drawn, np.where(thrown, unseen, 0))
    elif getattr(getattr(method, 'teacher', None), 'has_weights', False):
        columns |= _features(method, images, split, size)
    elif hasattr(method, 'perturbation'):
        changed = method.perturbation(images)
        columns['seen by slow network'] = enlarge(pixels(method, changed), size)
    return columns


def _unseen(
    split: TokenSplit, grid: tuple[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The grey of hidden pixels, 0 where visible, and where patches are thrown away."""
    visible = torch.zeros_like(split.mask).scatter(1, split.ids_visible, True)
    grey = split.mask * _MASKED + ~(split.mask | visible) * _THROWN
    grey = spread(grey, grid, size)[..., None]
    return grey, grey == _THROWN


def _covered(tiles: np.ndarray, grey: np.ndarray) -> np.ndarray:
    return np.where(grey > 0, grey, tiles).astype(np.uint8)


def _features(
    method: nn.Module, images: Tensor, split: TokenSplit, size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Colours of what is predicted and of what it should be, of the same meaning."""
    target = normalise_features(method.teacher(images).float())  # (B, N, C)
    pred = predict(method, images, split)  # (B, M, C)
    foretold = target.scatter(1, split.ids_masked[..., None].expand_as(pred), pred)
    grid = method.backbone.grid_of(images)
    theirs, ours = principal_colours(target, foretold)
    drawn = (255 * spread(ours, grid, size)).round().astype(np.uint8)
    visible = spread(~split.mask, grid, size)[..., None] * 255
    return {
        'predicted features': _covered(drawn, visible),
        "teacher's features": (255 * spread(theirs, grid, size)).astype(np.uint8),
    }


def _views(method: nn.Module, images: Tensor, side: int) -> dict[str, np.ndarray]:
    columns = {}
    for number, view in zip(('first', 'second'), images.chunk(2, dim=2), strict=True):
        size = tile_size(method.backbone.grid_of(view), side)
        columns[f'{number} part'] = enlarge(pixels(method, view), size)
        changed = pixels(method, method.perturbation(view))
        columns[f'{number} view'] = enlarge(changed, size)
    return columns
