"""Evaluation of frozen dense features.

n photos, N patches, D width, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ccmim.evaluation.clusters import MANY, cluster_overlaps
from ccmim.evaluation.dense_features import DenseFeatures
from ccmim.evaluation.discovery import corloc_hits
from ccmim.evaluation.features import feature_rank
from ccmim.evaluation.knn import nearest, vote
from ccmim.evaluation.labeled_photos import LabeledPhotos, Photo
from ccmim.evaluation.linear import fit_linear
from ccmim.evaluation.resampling import figure
from ccmim.evaluation.retrieval import (
    NEIGHBORS,
    choose_patches,
    class_counts,
    count_overlaps,
    look_up,
    soft_labels,
    to_pixels,
)
from ccmim.evaluation.samples import Hits, Likeness, Mean, Overlaps, Sample

MEMORY = 100_000  # patches
_SEEDS = 3  # of k-means
_FITTED = 20_000  # patches for the linear probe
_STEPS = 200  # of its fit at most
# What the measures are, in the order of the table.
MEASURES = {
    'retrieval': 'dense NN retrieval, mIoU',
    'clusters': 'k-means, K = classes, mIoU',
    'overclusters': f'k-means, K = {MANY}, mIoU',
    'linear': 'linear probe of patches, mIoU',
    'discovery': 'object discovery (LOST), CorLoc',
    'knn': 'k-NN of photos, accuracy',
    'likeness': 'cosine of class tokens, mean',
    'rank': 'rank of class tokens',
}


@dataclass(frozen=True)
class Judgment:
    """What one network is worth.

    Attributes:
        figures: By the name of the measure.
        samples: What each photo adds, for those measures that can be resampled.
        segmented: Of some test photos, classes of pixels by retrieval, (H, W).
        clustered: Likewise, the cluster of each patch, (N,), of as many clusters as
            there are classes.
    """

    figures: dict[str, float]
    samples: dict[str, Sample]
    segmented: list[Tensor] = field(default_factory=list)
    clustered: list[Tensor] = field(default_factory=list)


def judge(
    photos: LabeledPhotos,
    train: DenseFeatures,
    test: DenseFeatures,
    k: int = NEIGHBORS,
    memory: int = MEMORY,
    shown: Sequence[int] = (),
) -> Judgment:
    """Measure all that the labels allow.

    Args:
        photos: The labels.
        train: Features of the training photos.
        test: Features of the test photos.
        k: Neighbors of a patch in dense NN retrieval.
        memory: Patches that are remembered there, at most.
        shown: Test photos to keep the answers of, for pictures.

    Returns:
        The figures, and what each test photo adds to them.

    Raises:
        ValueError: If ``k`` is more than the patches that are remembered.
    """
    samples: dict[str, Sample] = {}
    segmented, clustered = [], []
    if photos.has_maps:
        classes = len(photos.classes)
        maps = torch.stack([photo.map(test.size) for photo in photos.test])
        counts = class_counts(maps, test.patch_size, classes)
        known, targets = _remember(photos, train, memory)
        segment = _retriever(known, targets, k)
        samples['retrieval'], segmented = _overlaps(segment, test, maps, classes, shown)
        samples['clusters'], ids = _clusters(test, counts, classes)
        clustered = [ids[i] for i in shown]
        if test.patches.flatten(0, 1).shape[0] >= MANY > classes:
            samples['overclusters'], _ = _clusters(test, counts, MANY)
        segment = _linear(known, targets)
        samples['linear'], _ = _overlaps(segment, test, maps, classes)
    if photos.has_boxes:
        right = corloc_hits(test.boxes, [photo.boxes for photo in photos.test])
        samples['discovery'] = Hits(right.numpy())
    if photos.has_labels:
        labels = [
            torch.tensor([p.label for p in part])
            for part in (photos.train, photos.test)
        ]
        cosines, ids = nearest(train.photos, test.photos, min(20, len(train.photos)))
        right = vote(cosines, labels[0][ids]) == labels[1]
        samples['knn'] = Hits(right.numpy())
    samples['likeness'] = Likeness(test.photos.numpy())
    figures = {name: figure(sample) for name, sample in samples.items()}
    figures['rank'] = feature_rank(test.photos)
    return Judgment(figures, samples, segmented, clustered)


def retrieve(
    photos: LabeledPhotos,
    train: DenseFeatures,
    test: DenseFeatures,
    k: int = NEIGHBORS,
    memory: int = MEMORY,
) -> Overlaps:
    """Measure dense NN retrieval alone; arguments as of ``judge``."""
    maps = torch.stack([photo.map(test.size) for photo in photos.test])
    segment = _retriever(*_remember(photos, train, memory), k)
    return _overlaps(segment, test, maps, len(photos.classes))[0]


def _remember(
    photos: LabeledPhotos, train: DenseFeatures, memory: int
) -> tuple[Tensor, Tensor]:
    """Features and soft labels of the patches that a bounded memory holds."""
    each = max(1, memory // len(photos.train))
    generator = torch.Generator().manual_seed(0)
    features, targets = [], []
    for patches, photo in zip(train.patches, photos.train, strict=True):
        counts = _counts(photo, train, len(photos.classes))
        own = soft_labels(counts)
        noise = torch.rand(1, counts.shape[1], generator=generator)
        kept = choose_patches(own, each, noise)[0]
        features.append(patches[kept].float())
        targets.append(own[0, kept])
    return torch.cat(features), torch.cat(targets)


def _counts(photo: Photo, features: DenseFeatures, classes: int) -> Tensor:
    return class_counts(photo.map(features.size)[None], features.patch_size, classes)


def _retriever(known: Tensor, targets: Tensor, k: int) -> Callable[[Tensor], Tensor]:
    known = F.normalize(known)
    return lambda patches: look_up(known, targets, patches, k)


def _linear(known: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
    """Fit one matrix to normalized channels of patches, to its optimum.

    As batch norm and a 1 x 1 convolution; the published probes are trained by SGD, with
    augmentation.
    """
    step = max(1, -(-len(known) // _FITTED))
    known, targets = known[::step], targets[::step]
    mean, std = known.mean(0), known.std(0, correction=0).clamp(min=1e-6)
    weights = fit_linear((known - mean) / std, targets, max_steps=_STEPS)
    return lambda patches: F.pad((patches - mean) / std, (0, 1), value=1.0) @ weights


def _overlaps(
    segment: Callable[[Tensor], Tensor],
    test: DenseFeatures,
    maps: Tensor,
    classes: int,
    shown: Sequence[int] = (),
) -> tuple[Overlaps, list[Tensor]]:
    """Segment the test photos, some at a time, and compare pixels."""
    parts, kept = [], {}
    for first in range(0, len(maps), 16):
        patches = test.patches[first : first + 16].float()
        values = segment(patches.flatten(0, 1)).view(*patches.shape[:2], classes)
        predicted = to_pixels(values, test.grid, test.size, test.patch_size)
        parts.append(count_overlaps(predicted, maps[first : first + 16], classes))
        kept |= {
            i: predicted[i - first] for i in shown if 0 <= i - first < len(predicted)
        }
    right, united = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Overlaps(right, united), [kept[i] for i in shown]


def _clusters(
    test: DenseFeatures, counts: Tensor, clusters: int
) -> tuple[Mean, Tensor]:
    """Mean over seeds; and the clusters of the first one."""
    runs = [
        cluster_overlaps(test.patches, counts, clusters, seed) for seed in range(_SEEDS)
    ]
    parts = tuple(Overlaps(np.asarray(r), np.asarray(u)) for r, u, _ in runs)
    return Mean(parts), runs[0][2]
