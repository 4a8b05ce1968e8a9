"""Features of images given in any form.

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
from ccmim.evaluation.features import POOLS, Pool
from ccmim.ranges import Count, in_ranges

Picture: TypeAlias = str | os.PathLike | Image.Image | np.ndarray | Tensor


@in_ranges
@torch.no_grad()
def extract_features(
    model: nn.Module,
    images: Picture | Sequence[Picture],
    pool: Pool = 'class',
    maps: bool = False,
    batch_size: Count = 32,
    block: int | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Compute a feature of each image.

    Args:
        model: A Vision Transformer of this library, or a model that has one as its
            ``backbone``; its mode is as before afterwards.
        images: One image or several: paths (also of folders, lists, tars), PIL
            pictures (turned and scaled as files are), arrays (H, W), (H, W, 3) or
            (B, H, W, 3) in RGB, of uint8, uint16 or of floats in [0, 1], or tensors
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
        to the size that the model was made for, and normalized as it asks; a model may
        be of any dtype and on any device.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If there is no image, or something is none, or no such block, or if
            features are not finite.
    """
    backbone = getattr(model, 'backbone', model)
    require_rgb(backbone.patch_embed.proj.in_channels, 'the model')
    like = backbone.patch_embed.proj.weight
    prepare = Prepare(model)
    stream = (prepare(picture) for picture in _each(images))
    features, grids = [], []
    was_training = backbone.training
    backbone.eval()
    try:
        while batch := list(islice(stream, batch_size)):
            inputs = torch.stack(batch).to(like.device, like.dtype)
            tokens = backbone.encode(backbone.embed(inputs), block=block)
            tokens = tokens.float().cpu()
            features.append(POOLS[pool](tokens))
            if maps:
                patches = tokens[:, 1:].transpose(1, 2)
                grids.append(patches.unflatten(2, backbone.grid_of(inputs)))
    finally:
        backbone.train(was_training)
    if not features:
        raise ValueError('images is empty: give at least one image')
    joined = torch.cat(features)
    check_features(joined, backbone)
    return (joined, torch.cat(grids)) if maps else joined


def _each(images: Picture | Sequence[Picture]) -> Iterator[Image.Image | Tensor]:
    """Yield uint8 or float tensors and PIL pictures, one an image."""
    if isinstance(images, str | os.PathLike):
        source = open_source(images)
        yield from (decode_image(source.read(i)) for i in range(len(source)))
    elif isinstance(images, Image.Image):
        yield to_rgb(images)
    elif isinstance(images, np.ndarray):
        pixels = _as_uint8(images)
        yield from map(Image.fromarray, pixels.reshape(-1, *pixels.shape[-3:]))
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


def _as_uint8(images: np.ndarray) -> np.ndarray:
    """Convert arrays of any dtype to uint8 RGB (..., 3)."""
    kind = f'an array of {images.dtype} and shape {images.shape}'
    if images.ndim == 2:
        images = np.repeat(images[..., None], 3, axis=2)
    good = images.shape[-1:] == (3,) and images.ndim in (3, 4)
    if images.dtype == np.uint16:
        images = images / 65535
    if good and np.issubdtype(images.dtype, np.floating):
        good = bool(((images >= 0) & (images <= 1)).all())
        images = (np.where(good, images, 0) * 255).round().astype(np.uint8)
    if not good or images.dtype != np.uint8:
        raise ValueError(
            f'{kind} is no image: give RGB (H, W, 3) of uint8, uint16 or floats in '
            '[0, 1]'
        )
    return images


class Prepare:
    """Makes inputs of pictures: the size and the normalization that a model asks for.

    Args:
        model: A Vision Transformer, or what has one as its ``backbone``.
    """

    def __init__(self, model: nn.Module) -> None:
        backbone = getattr(model, 'backbone', model)
        self._size = [side * backbone.patch_size for side in backbone.grid]
        own = getattr(model, 'data_preprocessor', None)
        if getattr(own, '_enable_normalize', False):
            self._mean, self._std = (
                value.detach().float().cpu().view(-1, 1, 1)
                for value in (own.mean, own.std)
            )
        else:
            cfg = backbone.default_cfg
            self._mean, self._std = (
                255 * torch.tensor(cfg[name]).view(-1, 1, 1) for name in ('mean', 'std')
            )

    def __call__(self, picture: Image.Image | Tensor) -> Tensor:
        """Make the input (3, H, W) of a picture, a uint8 or a ready float tensor."""
        if isinstance(picture, Tensor) and picture.is_floating_point():
            return picture.float().cpu()
        if isinstance(picture, Tensor):
            array = picture.to(torch.uint8).permute(1, 2, 0).cpu().numpy()
            picture = Image.fromarray(np.ascontiguousarray(array))
        pixels = ToUint8Tensor()(ResizeCenterCrop(self._size)(picture))
        return (pixels.float() - self._mean) / self._std
