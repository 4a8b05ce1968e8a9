"""Dense NN retrieval on the data of any segmentation config: see ``retrieval``.

B batch, H W image, D width, C classes; n patches that are remembered.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from ccmim.checkpoints import check_features
from ccmim.evaluation.dense_features import digest_of_state
from ccmim.evaluation.retrieval import (
    NEIGHBORS,
    class_counts,
    count_overlaps,
    look_up,
    soft_labels,
    to_pixels,
)
from ccmim.files import replacing
from ccmim.precision import Precision, computing_in


@torch.no_grad()
def remember_patches(
    backbone: Any,
    batches: Iterable[tuple[Tensor, Tensor]],
    num_classes: int,
    dtype: Precision = 'float32',
    folder: Path | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the features of all patches that have a labeled pixel.

    Args:
        backbone: Vision Transformer; its mode is as before afterwards.
        batches: Normalized images (B, 3, H, W) with the class of each pixel (B, H, W).
        num_classes: Number C of classes.
        dtype: What the network computes in, see ``precision_of``.
        folder: Where tokens are kept, in float16, by the network and the image; what
            it holds is not computed again.

    Returns:
        Normed tokens (n, D), float32, and soft labels (n, C), on the host.
    """
    features, labels = [], []
    for tokens, _, maps in _tokens(backbone, batches, dtype, folder):
        targets = soft_labels(class_counts(maps, backbone.patch_size, num_classes))
        known = targets.any(2)
        features.append(tokens[known])
        labels.append(targets[known])
    joined = torch.cat(features)
    check_features(joined, backbone)
    return joined, torch.cat(labels)


@torch.no_grad()
def retrieval_overlaps(
    backbone: Any,
    batches: Iterable[tuple[Tensor, Tensor]],
    known: Tensor,
    targets: Tensor,
    k: int = NEIGHBORS,
    dtype: Precision = 'float32',
    folder: Path | None = None,
) -> tuple[Tensor, Tensor]:
    """Segment images by the nearest patches, as ``ccmim judge`` does.

    Args:
        backbone: Vision Transformer; its mode is as before afterwards.
        batches: As of ``remember_patches``.
        known: Features that are remembered, (n, D).
        targets: Their soft labels (n, C).
        k: Neighbors, at most n.
        dtype: As of ``remember_patches``.
        folder: Likewise.

    Returns:
        Pixels of each class that are found, and those that are found or should be,
        both (images, C).

    Raises:
        ValueError: If ``k`` is out of range.
    """
    known, parts = F.normalize(known), []
    count = targets.shape[1]
    for tokens, grid, maps in _tokens(backbone, batches, dtype, folder):
        values = look_up(known, targets, tokens.flatten(0, 1), k)
        values = values.view(*tokens.shape[:2], count)
        predicted = to_pixels(values, grid, maps.shape[1:], backbone.patch_size)
        parts.append(count_overlaps(predicted, maps, count))
    right, united = (torch.cat(part) for part in zip(*parts, strict=True))
    return right, united


def _tokens(
    backbone: Any,
    batches: Iterable[tuple[Tensor, Tensor]],
    dtype: Precision,
    folder: Path | None,
) -> Iterator[tuple[Tensor, tuple[int, int], Tensor]]:
    """Yield normed tokens of patches (B, N, D), their grid and the maps."""
    was_training = backbone.training
    backbone.eval()
    if folder is not None:
        own = digest_of_state(backbone.state_dict(), (backbone.unseen(), dtype))

    def compute(images: Tensor) -> Tensor:
        with computing_in(dtype, images.device):
            tokens = backbone.encode(backbone.embed(images))
        return tokens[:, 1:].float().cpu()

    for images, maps in batches:
        if folder is None:
            tokens = compute(images)
        else:
            digest = hashlib.sha256(own + images.cpu().numpy().tobytes())
            digest.update(repr(images.shape).encode())
            file = folder / f'{digest.hexdigest()[:32]}.npy'
            if not file.is_file():
                with replacing(file) as part:
                    np.save(part, compute(images).half().numpy())
            tokens = torch.from_numpy(np.load(file)).float()
        yield tokens, backbone.grid_of(images), maps.cpu()
    backbone.train(was_training)


def labeled_maps(
    data: Dataset, preprocess: Callable[..., dict[str, Any]], limit: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images one by one, normalized, with the class of each pixel.

    Args:
        data: Of mmsegmentation, with a pipeline for tests: what it draws at random is
            not repeatable.
        preprocess: The segmentor's preprocessor.
        limit: At most so many images, evenly from the whole set; all when None.

    Yields:
        Image (1, 3, H, W) and classes (1, H, W), where the ignored are 255. Maps that
        the pipeline did not resize with their image are resized here.
    """
    count = min(len(data), limit or len(data))
    numbers = np.linspace(0, len(data) - 1, count).round().astype(int)
    for number in tqdm(numbers, 'patches', unit=' images', disable=None):
        sample = data[int(number)]
        batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
        batch = preprocess(batch, False)
        maps = batch['data_samples'][0].gt_sem_seg.data[None].float()
        maps = F.interpolate(maps, batch['inputs'].shape[-2:], mode='nearest-exact')
        yield batch['inputs'], maps[:, 0].long()
