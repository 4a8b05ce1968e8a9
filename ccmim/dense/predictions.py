"""Draw and save predictions of detectors and segmentors.

Imports mmdet or mmseg when something is drawn, not before.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from ccmim.dense.predictor import LIBRARIES, Predictor
from ccmim.pictures.overlay import (
    Color,
    with_legend,
)
from ccmim.pictures.tiles import resized, sheet

_PLACES = ('data_root', 'ann_file', 'data_prefix', 'img_suffix', 'seg_map_suffix')


def draw_predictions(
    cfg: Config,
    checkpoints: Mapping[str, str | Path],
    images: Sequence[str],
    device: str = 'cpu',
    least_score: float = 0.3,
) -> dict[str, list[np.ndarray]]:
    """Let each checkpoint predict, and draw it beside the truth.

    Args:
        cfg: Detection or segmentation config.
        checkpoints: Files of its runs by label.
        images: Image files; the truth is drawn if all are in the test or training data.
        device: Where to compute.
        least_score: Detections of a lower score are not drawn.

    Returns:
        uint8 RGB pictures, as large as their images, of each image by label: 'image',
        'truth' if it is known, and the labels of ``checkpoints``.

    Raises:
        FileNotFoundError: If a checkpoint does not exist.
        ImportError: If the library is not installed.
        ValueError: If the config is of another kind, or a checkpoint does not fit.
    """
    return _draw(cfg, checkpoints, images, device, least_score)[0]


def draw_rows(
    cfg: Config,
    checkpoints: Mapping[str, str | Path],
    images: Sequence[str],
    side: int,
    device: str = 'cpu',
    least_score: float = 0.3,
) -> list[np.ndarray]:
    """Draw a row for each photo: itself, the truth, what each checkpoint predicts.

    Args:
        cfg: See ``draw_predictions``, as other arguments.
        checkpoints: Files of its runs by label.
        images: Image files.
        side: Width of each tile in pixels.
        device: Where to compute.
        least_score: Of detections that are drawn.

    Returns:
        uint8 RGB pictures with the name of the file and a legend below.
    """
    columns, legends = _draw(cfg, checkpoints, images, device, least_score)
    rows = []
    for i, name in enumerate(images):
        size = (
            round(columns['image'][i].shape[0] * side / columns['image'][i].shape[1]),
            side,
        )
        row = sheet({label: [resized(x[i], size)] for label, x in columns.items()})
        rows.append(with_legend(row, legends[i], Path(name).name))
    return rows


def tested_images(cfg: Config, count: int) -> list[str]:
    """Choose some images of the test data of a config, evenly; their files."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data: BaseDataset = DATASETS.build(cfg.test_dataloader.dataset)
    numbers = np.linspace(0, len(data) - 1, min(count, len(data))).round().astype(int)
    return [data.get_data_info(i)['img_path'] for i in numbers.tolist()]


def _draw(
    cfg: Config,
    checkpoints: Mapping[str, str | Path],
    images: Sequence[str],
    device: str,
    least_score: float,
) -> tuple[dict[str, list[np.ndarray]], list[dict[str, Color]]]:
    """Draw as ``draw_predictions``; the colors of each image's classes, too."""
    if cfg.get('default_scope') not in LIBRARIES:
        raise ValueError('predictions need a detection or segmentation --config')
    import mmcv

    photos = [mmcv.imread(name, channel_order='rgb') for name in images]
    columns: dict[str, list[np.ndarray]] = dict(image=photos)
    legends: list[dict[str, Color]] = [{} for _ in photos]

    def add(label: str, samples: Iterable[Any], is_truth: bool) -> None:
        tiles = []
        for photo, sample, legend in zip(photos, samples, legends, strict=True):
            tiles.append(predictor.draw(photo, sample, is_truth))
            legend |= predictor.legend(sample, is_truth)
        columns[label] = tiles

    for label, file in checkpoints.items():
        predictor = Predictor(cfg, file, device, least_score)
        if 'truth' not in columns and (truth := _truth(cfg, images)):
            add('truth', truth, True)
        add(label, map(predictor, images), False)
    return columns, legends


def _labeled(cfg: Config) -> Iterator[Any]:
    """Yield the test data, and those of training with the transforms of a test."""
    test = cfg.test_dataloader.dataset
    yield test
    train = cfg.get('train_dataloader', {}).get('dataset', {})
    if train.get('type') == test.type:
        kept = {k: v for k, v in test.items() if k not in (*_PLACES, 'indices')}
        yield kept | {key: train[key] for key in _PLACES if key in train}


def _truth(cfg: Config, images: Sequence[str]) -> list[Any]:
    """The annotated samples of images, none unless all are in the labeled data."""
    paths = [os.path.realpath(name) for name in images]
    known: dict[str, Any] = {}
    for dataset in _labeled(cfg):
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            try:
                data: BaseDataset = DATASETS.build(dataset)
            except OSError:  # these data are not on this machine
                continue
            for index in range(len(data)):
                path = os.path.realpath(data.get_data_info(index)['img_path'])
                if path in paths and path not in known:
                    known[path] = data[index]['data_samples']
        if known.keys() == set(paths):
            break
    else:
        return []
    samples = [known[path] for path in paths]
    if cfg.default_scope == 'mmdet':
        from mmdet.models.utils import samplelist_boxtype2tensor

        samplelist_boxtype2tensor(samples)  # as the visualizer wants boxes
    return samples
