"""Features of photos for dense evaluation, computed in one pass and cached.

n photos, N patches, D width, H W the size at which photos are looked at.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ccmim.checkpoints import Weights, check_features
from ccmim.evaluation.discovery import LastKeys, find_boxes
from ccmim.evaluation.labeled_photos import Photo
from ccmim.files import replacing
from ccmim.precision import Precision, computing_in
from ccmim.progress import progress

_LAYOUT = b'1'  # of what is kept; another one is another file


class PixelSource(Protocol):
    """A photo that can be looked at."""

    def pixels(self, size: tuple[int, int]) -> Tensor:
        """Read it at a height and width: uint8 RGB (3, H, W)."""


@dataclass(frozen=True)
class DenseFeatures:
    """What a network makes of photos.

    Attributes:
        patches: Normed tokens (n, N, D), float16.
        photos: Class tokens (n, D), or averages of patches without one.
        boxes: Of an object in each photo, (n, 4), see ``find_boxes``.
        grid: Rows and columns of the patches.
        size: Height and width of the photos.
        patch_size: Side of a patch.
    """

    patches: Tensor
    photos: Tensor
    boxes: Tensor
    grid: tuple[int, int]
    size: tuple[int, int]
    patch_size: int


@torch.no_grad()
def compute_dense(
    backbone: Any,
    photos: Sequence[PixelSource],
    size: tuple[int, int],
    normalize: Callable[[Tensor], Tensor],
    quiet: bool = False,
    batch_size: int = 16,
    dtype: Precision = 'float32',
) -> DenseFeatures:
    """Compute the features of photos.

    Args:
        backbone: Vision Transformer; its mode is as before afterwards.
        photos: What to look at.
        size: Height and width to which they are squeezed.
        normalize: Makes inputs of uint8 images (B, 3, H, W).
        quiet: Whether to show no progress.
        batch_size: Photos at a time.
        dtype: What the network computes in, see ``precision_of``.

    Returns:
        The features, on the host.

    Raises:
        LabelError: If a photo cannot be read.
        ValueError: If features are not finite.
    """
    device = next(backbone.parameters()).device
    was_training = backbone.training
    backbone.eval()
    patches, classes, boxes = [], [], []
    try:
        with LastKeys(backbone) as keys:
            for images in _batches(photos, size, batch_size, quiet):
                grid = backbone.grid_of(images)
                inputs = normalize(images.to(device))
                with computing_in(dtype, device):
                    tokens = backbone.encode(backbone.embed(inputs))
                tokens = tokens.float().cpu()
                patches.append(tokens[:, 1:].half())
                classes.append(tokens[:, 0])
                boxes.append(find_boxes(keys.take(), grid, size, backbone.patch_size))
    finally:
        backbone.train(was_training)
    joined = torch.cat(patches)
    check_features(joined, backbone)
    return DenseFeatures(
        joined, torch.cat(classes), torch.cat(boxes), grid, size, backbone.patch_size
    )


def _batches(
    photos: Sequence[PixelSource], size: tuple[int, int], count: int, quiet: bool
) -> Iterator[Tensor]:
    """Read photos ahead in threads."""
    with ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0)))) as pool:
        parts = [photos[i : i + count] for i in range(0, len(photos), count)]
        ahead = [pool.submit(_read, part, size) for part in parts[:2]]
        numbers = progress(range(len(parts)), 'Features', len(parts), 'batches', quiet)
        for number in numbers:
            if number + 2 < len(parts):
                ahead.append(pool.submit(_read, parts[number + 2], size))
            yield ahead[number].result()
            ahead[number] = None  # let its images go


def _read(photos: Sequence[PixelSource], size: tuple[int, int]) -> Tensor:
    return torch.stack([photo.pixels(size) for photo in photos])


def digest_of_weights(weights: Weights) -> bytes:
    """Digest all that decides what a network makes of images."""
    return digest_of_state(weights.state, (weights.architecture, weights.pixels))


def digest_of_state(state: Mapping[str, Tensor], settings: object) -> bytes:
    """Digest tensors by name, and what ``settings`` looks like when printed."""
    digest = hashlib.sha256(_LAYOUT)
    digest.update(repr(settings).encode())
    for name in sorted(state):
        value = state[name].cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()


def digest_of_photos(photos: Sequence[Photo], size: tuple[int, int]) -> bytes:
    """Digest the files of photos and the size at which they are looked at."""
    digest = hashlib.sha256(repr(size).encode())
    for photo in photos:
        digest.update(hashlib.sha256(photo.path.read_bytes()).digest())
    return digest.digest()


def kept_dense(
    folder: Path, digest: bytes, compute: Callable[[], DenseFeatures]
) -> DenseFeatures:
    """Read features that were kept, or compute and keep them.

    Args:
        folder: Where they are kept.
        digest: Of what they depend on.
        compute: Computes them.

    Returns:
        The features.
    """
    file = folder / f'{hashlib.sha256(digest).hexdigest()[:32]}.npz'
    if file.is_file():
        with np.load(file) as kept:
            names = ('patches', 'photos', 'boxes')
            tensors = [torch.from_numpy(kept[name]) for name in names]
            shape = kept['shape'].tolist()
        return DenseFeatures(*tensors, tuple(shape[:2]), tuple(shape[2:4]), shape[4])
    computed = compute()
    with replacing(file) as part:
        np.savez(
            part,
            patches=computed.patches.numpy(),
            photos=computed.photos.numpy(),
            boxes=computed.boxes.numpy(),
            shape=np.array([*computed.grid, *computed.size, computed.patch_size]),
        )
    return computed
