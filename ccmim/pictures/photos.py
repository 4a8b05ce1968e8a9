"""Load a few photos to draw on.

B images, H W their size.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ccmim.data import BadImageError, SampleKey, decode_image, open_source, seeded
from ccmim.vit import VisionTransformer


class Photos(NamedTuple):
    """Some images of a source.

    Attributes:
        images: uint8 RGB, of shape (B, 3, H, W).
        names: Path of each.
        skipped: Path and reason of each that could not be used, in a line.
    """

    images: Tensor
    names: list[str]
    skipped: list[str]


def open_photos(
    data: str | Path, transform: Callable[[Image.Image], Tensor], count: int
) -> Photos:
    """Read images, evenly from the first to the last.

    Args:
        data: What ``ccmim.data.open_source`` takes.
        transform: From a picture to a uint8 tensor of one size; what it draws depends
            on the image's number alone.
        count: How many at most.

    Returns:
        At least one image.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If there is no image in it that can be used.
    """
    source = open_source(data)
    chosen = np.linspace(0, len(source) - 1, min(count, len(source))).round()
    images, names, skipped = [], [], []
    for index in map(int, chosen):
        try:
            picture = decode_image(source.read(index))
        except (BadImageError, OSError) as error:
            skipped.append(f'{source.name(index)}: {error}')
            continue
        with seeded(SampleKey(0, 0, index)):
            images.append(transform(picture))
        names.append(source.name(index))
    if not images:
        raise ValueError(f'no image can be used: {skipped[0]}')
    return Photos(torch.stack(images), names, skipped)


def normalized(images: Tensor, vit: VisionTransformer) -> Tensor:
    """Normalize uint8 images (B, 3, H, W) as a network's weights ask for it."""
    device = next(vit.parameters()).device
    mean, std = (
        255 * torch.tensor(vit.default_cfg[name], device=device)[:, None, None]
        for name in ('mean', 'std')
    )
    return (images.to(device).float() - mean) / std
