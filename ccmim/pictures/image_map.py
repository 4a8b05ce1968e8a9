"""A 2D map of images in which similar ones are near each other.

n images, D width.
"""

from importlib import import_module
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from ccmim.pictures.patch_colors import principal_axes
from ccmim.pictures.photos import normalized
from ccmim.pictures.tiles import enlarge, tile_size

_THUMBNAIL = 96  # pixels, about

# Name in a caption, and what must be installed.
PROJECTIONS = {
    'tsne': ('t-SNE', 'sklearn.manifold', 'scikit-learn'),
    'umap': ('UMAP', 'umap', 'umap-learn'),
    'pca': ('PCA', 'torch', 'torch'),
}


def project(features: Tensor, how: str = 'auto') -> tuple[np.ndarray, str]:
    """Project features to a plane.

    Args:
        features: Of shape (n, D), n at least 3.
        how: 'tsne' (needs scikit-learn), 'umap' (needs umap-learn), 'pca', or 'auto':
            t-SNE where scikit-learn is installed, else PCA.

    Returns:
        Places of shape (n, 2), each coordinate from 0 to 1, and the method's name.

    Raises:
        ValueError: If there are fewer images, or a library is not installed.
    """
    if len(features) < 3:
        raise ValueError(f'{len(features)} images make no map: give at least 3')
    if how == 'auto':
        how = 'tsne' if _library('tsne') else 'pca'
    name, _, package = PROJECTIONS[how]
    library = _library(how)
    if library is None:
        raise ValueError(f'{name} needs {package}: pip install {package}')
    centered = (features - features.mean(dim=0)).double().cpu()
    positions = centered @ principal_axes(centered, 2)
    if how == 'tsne':
        perplexity = min(30, (len(features) - 1) / 3)
        tsne = library.TSNE(perplexity=perplexity, init='pca', random_state=0)
        positions = torch.from_numpy(tsne.fit_transform(centered.float().numpy()))
    elif how == 'umap':
        neighbors = min(15, len(features) - 1)
        umap = library.UMAP(n_neighbors=neighbors, random_state=0)
        positions = torch.from_numpy(umap.fit_transform(centered.float().numpy()))
    low, high = positions.quantile(
        torch.tensor([0.01, 0.99], dtype=positions.dtype), dim=0
    )
    scaled = (positions - low) / (high - low).clamp(min=1e-12)
    return scaled.clamp(0, 1).numpy(), name  # a single image far away stops at the edge


def draw_map(
    positions: np.ndarray, thumbnails: np.ndarray, title: str, inches: float = 9.0
) -> Figure:
    """Draw a thumbnail of each image at its position, where there is room, else a dot.

    Args:
        positions: Of shape (n, 2), in [0, 1].
        thumbnails: uint8, of shape (n, height, width, 3).
        title: What the positions mean.
        inches: Width and height of the figure.

    Returns:
        The figure, at 100 pixels an inch.
    """
    figure = Figure((inches, inches), dpi=100)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92))
    half = 0.033  # of a thumbnail's width, in that of the map
    axes.scatter(*positions.T, s=9, color='#9aa0a6', linewidths=0, zorder=-1)
    shown: list[np.ndarray] = []
    for position, thumbnail in zip(positions, thumbnails, strict=True):
        near = np.abs(np.array(shown) - position).max(axis=1) if shown else [1.0]
        if min(near) < 2.1 * half:
            continue
        shown.append(position)
        x, y = position
        axes.imshow(thumbnail, extent=(x - half, x + half, y - half, y + half))
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), xticks=[], yticks=[])
    axes.set_title(title, fontsize=13, color='#202124', loc='left')
    for spine in axes.spines.values():
        spine.set_color('#dadce0')
    return figure


def map_figure(
    backbone: nn.Module, images: Tensor, how: str = 'auto', batch: int = 32
) -> Figure:
    """Draw images at the positions of their features.

    Args:
        backbone: Vision Transformer, in evaluation mode.
        images: uint8 RGB images of shape (n, 3, H, W), at least 3.
        how: See ``project``.
        batch: Images at a time.

    Returns:
        The figure.

    Raises:
        ValueError: If there are too few images, or a library is not installed.
    """
    with torch.no_grad():
        tokens = [
            backbone.encode(backbone.embed(normalized(part, backbone)))
            for part in images.split(batch)
        ]
    features = torch.cat([x[:, 1:].mean(dim=1).float().cpu() for x in tokens])
    positions, name = project(F.normalize(features), how)
    size = tile_size(backbone.grid_of(images), _THUMBNAIL)
    title = f'{len(images)} images by their features ({name} of the mean patch)'
    if how == 'auto' and name == 'PCA':
        title += '; t-SNE with scikit-learn installed'
    return draw_map(positions, enlarge(images / 255, size), title)


def _library(how: str) -> Any:
    try:
        return import_module(PROJECTIONS[how][1])
    except ImportError:
        return None
