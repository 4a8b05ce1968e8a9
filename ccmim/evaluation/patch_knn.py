"""Segmentation by the nearest patches: a dense probe without any training.

B batch, H W image, P patch side, N patches, D width, C classes; n patches that are
known, m patches that are asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from ccmim.checkpoints import check_features
from ccmim.evaluation.knn import nearest, vote

_NONE = -1  # class of a patch in which no pixel has one


def patch_classes(maps: Tensor, patch_size: int, num_classes: int) -> Tensor:
    """Find the commonest class in each patch.

    Args:
        maps: Class of each pixel, (B, H, W); other values than 0 to C - 1 are ignored.
            What is missing on the right and bottom to whole patches is ignored too.
        patch_size: Side P of a patch.
        num_classes: Number C of classes.

    Returns:
        Classes (B, N), row by row, the lowest of equally common ones; -1 where all
        pixels are ignored.
    """
    side = patch_size
    height, width = maps.shape[1:]
    maps = F.pad(maps.long(), (0, -width % side, 0, -height % side), value=_NONE)
    patches = maps.unfold(1, side, side).unfold(2, side, side).flatten(3).flatten(1, 2)
    known = (patches >= 0) & (patches < num_classes)
    counts = patches.new_zeros(*patches.shape[:2], num_classes)
    counts.scatter_add_(2, patches.where(known, 0), known.long())
    return counts.argmax(2).where(known.any(2), _NONE)


@torch.no_grad()
def extract_patches(
    backbone: Any, batches: Iterable[tuple[Tensor, Tensor]], num_classes: int
) -> tuple[Tensor, Tensor]:
    """Compute the features of all patches that have a class.

    Args:
        backbone: Vision Transformer; its mode is as before afterwards.
        batches: Normalized images (B, 3, H, W) with the class of each pixel (B, H, W).
        num_classes: Number C of classes.

    Returns:
        Normed tokens (n, D), float32, and classes (n,), on the host.
    """
    was_training = backbone.training
    backbone.eval()
    features, classes = [], []
    for images, maps in batches:
        tokens = backbone.encode(backbone.embed(images))[:, 1:].float().cpu()
        found = patch_classes(maps.cpu(), backbone.patch_size, num_classes)
        features.append(tokens[found != _NONE])
        classes.append(found[found != _NONE])
    backbone.train(was_training)
    found = torch.cat(features)
    check_features(found, backbone)
    return found, torch.cat(classes)


def patch_knn_overlaps(
    train: Tensor,
    train_classes: Tensor,
    test: Tensor,
    test_classes: Tensor,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    images: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Count right patches of each class when patches take that of their neighbors.

    Neighbors are found by the cosine of the features and vote as in ``knn_accuracy``.
    The IoU of a class is the first count over the second, see ``patch_knn_iou``.

    Args:
        train: Features (n, D).
        train_classes: Their classes (n,), in [0, C).
        test: Features (m, D).
        test_classes: Their classes (m,), in [0, C).
        num_classes: Number C of classes.
        k: Number of neighbors.
        temperature: See ``vote``.
        images: Number of the image of each test patch, (m,), from 0; one image for
            all when None.

    Returns:
        Patches of each class that are found, and those that are found or should be,
        both (images, C).

    Raises:
        ValueError: If ``k`` or ``temperature`` is out of range.
    """
    similarities, ids = nearest(train, test, k)
    predicted = vote(similarities, train_classes[ids], temperature)
    if images is None:
        images = torch.zeros_like(test_classes)
    pairs = (images * num_classes + test_classes) * num_classes + predicted
    count = int(images.max()) + 1
    confusion = pairs.bincount(minlength=count * num_classes**2)
    confusion = confusion.view(count, num_classes, num_classes)
    right = confusion.diagonal(dim1=1, dim2=2)
    return right, confusion.sum(1) + confusion.sum(2) - right


def patch_knn_iou(*args: Any, **kwargs: Any) -> Tensor:
    """Compute the IoU of each class when patches take that of their neighbors.

    The mean over classes, ``iou.nanmean()``, is coarser than mIoU over pixels, and
    comparable among backbones with the same patches only.

    Args:
        args: Those of ``patch_knn_overlaps``.
        kwargs: Likewise.

    Returns:
        Percent in [0, 100], (C,); NaN for a class that is neither there nor predicted.
    """
    right, united = patch_knn_overlaps(*args, **kwargs)
    return 100 * right.sum(0).double() / united.sum(0)


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
