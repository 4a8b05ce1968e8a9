"""Features of images, whatever form the images come in.

B images, D width, P patch side.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ccmim.checkpoints import check_features
from ccmim.data import open_source
from ccmim.data.image import decode_image, require_rgb, to_rgb
from ccmim.data.transforms import ResizeCenterCrop, ToUint8Tensor
from ccmim.evaluation.features import POOLS
from ccmim.teachers.pixels import MEAN, STD

Picture: TypeAlias = str | os.PathLike | Image.Image | np.ndarray | Tensor


@torch.no_grad()
def extract_features(
    model: nn.Module,
    images: Picture | Sequence[Picture],
    pool: str = 'class',
    maps: bool = False,
    batch_size: int = 32,
    block: int | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Compute a feature of each image.

    Args:
        model: A Vision Transformer of this library, or a model that has one as its
            ``backbone``; its mode is as before afterwards.
        images: One image or several: paths (also of folders, lists, tars), PIL
            pictures (turned and scaled as files are), uint8 arrays (H, W, 3) or
            (B, H, W, 3) in RGB, or tensors
            (3, H, W) or (B, 3, H, W). uint8 tensors hold RGB; those of floats are taken
            as they are: normalized, of a size that all of them share.
        pool: The 'class' token, the 'average' of the patches, or 'both' in a row.
        maps: Whether to give the features of the patches as well.
        batch_size: Images at a time.
        block: The block after which tokens are taken as they are, counted from 0; those
            after the final norm when None.

    Returns:
        Features (B, D), or (B, 2 D) for 'both', in float32 on the host. With ``maps``
        also the maps (B, D, H / P, W / P). Images are resized and cropped in the center
        to the size that the model was made for.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If there is no image, or something is none, or no such block, or if
            features are not finite.
    """
    if pool not in POOLS:
        raise ValueError(f'pool={pool!r} must be one of {sorted(POOLS)}')
    backbone = getattr(model, 'backbone', model)
    require_rgb(backbone.patch_embed.proj.in_channels, 'the model')
    device = next(backbone.parameters()).device
    size = [side * backbone.patch_size for side in backbone.grid]
    stream = (_normalized(picture, size) for picture in _each(images))
    features, grids = [], []
    was_training = backbone.training
    backbone.eval()
    try:
        while batch := list(islice(stream, batch_size)):
            inputs = torch.stack(batch).to(device)
            tokens = backbone.encode(backbone.embed(inputs), block=block)
            tokens = tokens.float().cpu()
            features.append(POOLS[pool](tokens))
            if maps:
                patches = tokens[:, 1:].transpose(1, 2)
                grids.append(patches.unflatten(2, backbone.grid_of(inputs)))
    finally:
        backbone.train(was_training)
    if not features:
        raise ValueError('there are no images to compute features of')
    found = torch.cat(features)
    check_features(found, backbone)
    return (found, torch.cat(grids)) if maps else found


def _each(images: Picture | Sequence[Picture]) -> Iterator[Image.Image | Tensor]:
    """Yield uint8 or float tensors and PIL pictures, one an image."""
    if isinstance(images, str | os.PathLike):
        source = open_source(images)
        yield from (decode_image(source.read(i)) for i in range(len(source)))
    elif isinstance(images, Image.Image):
        yield to_rgb(images)
    elif isinstance(images, np.ndarray):
        if images.dtype != np.uint8 or images.shape[-1:] != (3,):
            raise ValueError(
                f'an array of {images.dtype} and shape {images.shape} is no image: '
                'give uint8 (H, W, 3), RGB'
            )
        yield from map(Image.fromarray, images.reshape(-1, *images.shape[-3:]))
    elif isinstance(images, Tensor):
        if images.ndim not in (3, 4) or images.shape[-3] != 3:
            raise ValueError(
                f'a tensor of shape {tuple(images.shape)} is no image: give (3, H, W) '
                'or (B, 3, H, W)'
            )
        yield from images.reshape(-1, *images.shape[-3:])
    elif isinstance(images, Sequence):
        for image in images:
            yield from _each(image)
    else:
        raise ValueError(f'{type(images).__name__} is no image, path or list of them')


def _normalized(picture: Image.Image | Tensor, size: Sequence[int]) -> Tensor:
    if isinstance(picture, Tensor) and picture.is_floating_point():
        return picture.float().cpu()
    if isinstance(picture, Tensor):
        array = picture.to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        picture = Image.fromarray(np.ascontiguousarray(array))
    pixels = ToUint8Tensor()(ResizeCenterCrop(size)(picture))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (pixels.float() - mean) / std
