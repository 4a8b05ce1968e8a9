"""What becomes of good weights under each method, and what they teach: arms, measures.

All arms of a show compute as much: they differ in steps as in operations an image, by
``training_flops``, with teachers and anchors. Their photos are spread evenly over all.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccmim.checkpoints import network_of, read_weights
from ccmim.evaluation import knn_accuracy
from ccmim.evaluation.dense_features import compute_dense
from ccmim.evaluation.judging import judge
from ccmim.evaluation.labeled_photos import LabeledPhotos, Photo, open_photos
from ccmim.labels.layouts import find_labels
from studies.family import Show, Values
from studies.small import data, features, photos

FILE = os.environ.get('CCMIM_WEIGHTS', 'weights') + '/vits14_saliency.safetensors'
"""The weights that are adapted, or teach: a ViT-S/14 with layer scale."""
_PHOTOS, _BATCH = 1595, 16
# Sets, their patches, and the photos of each part that are looked at.
_SETS = dict(
    camvid=(9, 12, 40), penn_fudan=(9, 9, 40), coco_mini=(9, 9, 40), cifar10=(9, 9, 200)
)
# Names in the tables; other figures have those of judge().
_NAMES = dict(retrieval='mIoU', likeness='cosine')


class Decoded:
    """A labeled photo that is decoded and drawn once."""

    def __init__(self, photo: Photo, size: tuple[int, int]) -> None:
        self.boxes, self.label, self.draw = photo.boxes, photo.label, photo.draw
        self.image = photo.pixels(size)
        self.classes = photo.map(size) if photo.draw else None

    def pixels(self, size: tuple[int, int]) -> Tensor:
        """Return the pixels, at the size that they were decoded for."""
        return self.image

    def map(self, size: tuple[int, int]) -> Tensor | None:
        """Return the classes of the pixels, at that size, if they have some."""
        return self.classes


@cache
def decoded(name: str, size: tuple[int, int], most: int) -> LabeledPhotos:
    """Read a small data set once."""
    photos = open_photos(find_labels(data(name)), most)
    parts = [[Decoded(p, size) for p in part] for part in (photos.train, photos.test)]
    return LabeledPhotos(photos.classes, *parts)


def dense_features(model: nn.Module) -> Values:
    """Measure frozen features on the small labeled sets, as ``ccmim judge`` does."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / 'backbone.pth'
        torch.save(model.backbone.state_dict(), file)
        weights = read_weights(str(file))
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in weights.pixels)
    values = {}
    for name, (*grid, most) in _SETS.items():
        size = tuple(side * model.backbone.patch_size for side in grid)
        photos, network = decoded(name, size, most), network_of(weights, list(size))
        features = [
            compute_dense(network, part, size, lambda x: (x - mean) / std, True)
            for part in (photos.train, photos.test)
        ]
        figures = judge(photos, *features).figures
        figures['likeness'] *= 100
        values |= {f'{name} {_NAMES.get(k, k)}': v for k, v in figures.items()}
    of_tokens = {name: values.pop(f'camvid {name}') for name in ('cosine', 'rank')}
    return values | of_tokens


def frozen_features(model: nn.Module) -> Values:
    """Measure the dense sets, and k-NN on CIFAR-10, enlarged: 2,000 label 1,000."""
    side, labels = model.backbone.grid[0] * model.backbone.patch_size, []
    vectors = []
    for split, ratio in (('train', 0.04), ('test', 0.1)):
        images, classes = photos(split, ratio)
        images = F.interpolate(images.float(), side, mode='bicubic', antialias=True)
        vectors.append(features(model, images.round().clamp(0, 255).to(torch.uint8)))
        labels.append(classes)
    values = {'k-NN': knn_accuracy(vectors[0], labels[0], vectors[1], labels[1])}
    return values | dense_features(model)


def _lasting(steps: int, batch: int = _BATCH) -> dict[str, Any]:
    """Set the length of a run: whole epochs of as many photos as that takes."""
    epochs = -(-steps * batch // _PHOTOS)
    return {
        'train_cfg.max_epochs': epochs,
        'train_dataloader.dataset.fraction': min(
            1.0, round(steps / epochs) * batch / _PHOTOS
        ),
    }


def _of_few(steps: int, photos: int = 7 * _BATCH) -> dict[str, Any]:
    """Set about as long a run on 112 photos, seen several times."""
    return {
        'train_cfg.max_epochs': round(steps * _BATCH / photos),
        'train_dataloader.dataset.fraction': photos / _PHOTOS,
    }


_FRUGAL = {
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'default_hooks.checkpoint.interval': 1000,
    'default_hooks.feature_watch': None,
    'visualizer.vis_backends': [dict(type='LocalVisBackend')],
}
_START = {'model.backbone.init_cfg': dict(type='Pretrained', checkpoint=FILE)}
_NO_STEP = {'optim_wrapper.optimizer.lr': 0.0}
_FAST = {'optim_wrapper.paramwise_cfg.lr_mult.backbone': 0.1}  # 1e-4 for 1e-5
_ANCHORS: Mapping[str, Mapping[str, Any]] = dict(
    none={'model.anchor': None},
    gram={'model.anchor': dict(_delete_=True, type='GramAnchor', weight=10.0)},
    kernel={'model.anchor': dict(_delete_=True, type='KernelAnchor', weight=1.0)},
)
# Leaf, changes, steps without an anchor and with one.
_METHODS: Mapping[str, tuple[str, Mapping[str, Any], int, int]] = dict(
    mae=('mae', {}, 142, 26),
    ccmim=('ccmim', {}, 50, 20),
    ccmim_both=('ccmim', {'model.contrast.grad': 'both'}, 33, 16),
    maskdistill=('maskdistill', {'model.teacher.checkpoint': FILE}, 32, 16),
)
_REPEATED = dict(ccmim_none=50, neco=14)  # steps of those that improve weights
_ADAPTED = {
    f'{name}_{anchor}': (
        f'small/{leaf}_vits14_adapt.py',
        {**changes, **of_anchor, **_lasting(alone if anchor == 'none' else held)},
    )
    for name, (leaf, changes, alone, held) in _METHODS.items()
    for anchor, of_anchor in _ANCHORS.items()
} | dict(
    neco=('small/neco_vits14_adapt.py', _lasting(14)),
)
# Again on few photos.
_ADAPTED |= {
    f'{arm}_112': (_ADAPTED[arm][0], {**_ADAPTED[arm][1], **_of_few(steps)})
    for arm, steps in _REPEATED.items()
}
_TAUGHT = {'model.teacher': dict(_delete_=True, type='ViTTeacher', checkpoint=FILE)}
_STUDENTS = dict(
    mae=('small/mae_vitt.py', _lasting(612, 32)),
    ccmim=('small/ccmim_vitt.py', _lasting(235, 32)),
    maskdistill=('small/maskdistill_vitt.py', _TAUGHT | _lasting(90, 32)),
    relational=('small/relational_distill_vitt.py', _TAUGHT | _lasting(90, 32)),
    both=('small/relational_distill_vitt.py', _TAUGHT | _lasting(45, 32)),
)
_FIRST_HALF = 'small/maskdistill_vitt.py', _TAUGHT | _lasting(45, 32)
_EPOCHS = {'train_cfg.max_epochs': 10}
_DISTILLED = dict(
    mae=('small/mae_vitt.py', {'train_cfg.max_epochs': 50}),  # takes a fifth a photo
    maskdistill=('small/maskdistill_vitt.py', _TAUGHT | _EPOCHS),
    relational=('small/relational_distill_vitt.py', _TAUGHT | _EPOCHS),
)
_ADAPT = Show(
    'small/mae_vits14_adapt.py',
    dict(
        start=_NO_STEP | _lasting(1),
        random=_NO_STEP | _lasting(1) | {'model.backbone.init_cfg': None},
    )
    | {arm: changes for arm, (_, changes) in _ADAPTED.items()},
    measure=dense_features,
    options=_FRUGAL | _START,
    configs={arm: config for arm, (config, _) in _ADAPTED.items()},
    small=False,
)
# As many operations as an epoch of 10,000 photos takes MAE with the Gram anchor.
_LONG = {
    arm: {**_ADAPT.arms[arm], **_lasting(round(steps * 625 / 26))}
    for arm, steps in _REPEATED.items()
}
SHOWS = dict(
    adapt=_ADAPT,
    adapt_fast=replace(_ADAPT, options=_ADAPT.options | _FAST),
    adapt_long=replace(_ADAPT, arms=dict(start=_ADAPT.arms['start']) | _LONG),
    students=Show(
        'small/mae_vitt.py',
        dict(random=_NO_STEP | _lasting(1, 32))
        | {arm: changes for arm, (_, changes) in _STUDENTS.items()},
        measure=dense_features,
        options=_FRUGAL | {'train_dataloader.batch_size': 32},
        configs={arm: config for arm, (config, _) in _STUDENTS.items()},
        begins=dict(both=_FIRST_HALF),
        small=False,
    ),
    distill=Show(
        'small/mae_vitt.py',
        dict(random=_NO_STEP | _lasting(1, 32))
        | {arm: changes for arm, (_, changes) in _DISTILLED.items()},
        measure=frozen_features,
        options=_FRUGAL
        | {'train_dataloader.batch_size': 32, 'model.backbone.img_size': 112},
        configs={arm: config for arm, (config, _) in _DISTILLED.items()},
        small=False,
    ),
)
