"""Detections and segmentations of several checkpoints beside the truth.

Imports mmdet or mmseg when something is drawn, not before.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from ccmim.checkpoints import guard_mmengine, load_file
from ccmim.pictures.saved_method import fill

LIBRARIES = ('mmdet', 'mmseg')


def draw_predictions(
    cfg: Config,
    checkpoints: Mapping[str, str | Path],
    images: Sequence[str],
    device: str = 'cpu',
    least_score: float = 0.3,
) -> dict[str, list[np.ndarray]]:
    """Let each checkpoint predict, and draw it with its library's own visualizer.

    Args:
        cfg: Detection or segmentation config.
        checkpoints: Files of its runs by label.
        images: Image files; the truth is drawn if all of them are in the test data.
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
    scope = cfg.get('default_scope')
    if scope not in LIBRARIES:
        raise ValueError('predictions need a detection or segmentation --config')
    guard_mmengine()
    import mmcv

    init, infer, draw = _tools(scope, least_score)
    photos = [mmcv.imread(name, channel_order='rgb') for name in images]
    columns: dict[str, list[np.ndarray]] = dict(image=photos)
    for label, file in checkpoints.items():
        content = load_file(file)
        if 'dataset_meta' not in content.get('meta', {}):
            raise ValueError(f'{file} names no classes: it is no run of such a config')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of the classes, which come with the file
            model = init(cfg.copy(), None, device=device)
        # Strictly: the libraries load what fits, and chance would be drawn.
        fill(model, content['state_dict'], file)
        model.dataset_meta = content['meta']['dataset_meta']
        if 'truth' not in columns and (truth := _truth(cfg, images)):
            columns['truth'] = [
                draw(photo, sample, model.dataset_meta, True)
                for photo, sample in zip(photos, truth, strict=True)
            ]
        columns[label] = [
            draw(photo, infer(model, name), model.dataset_meta, False)
            for photo, name in zip(photos, images, strict=True)
        ]
    return columns


def _tools(scope: str, least_score: float) -> tuple[Any, Any, Any]:
    """What builds a model, what predicts, and what draws."""
    if scope == 'mmdet':
        from mmdet.apis import inference_detector as infer
        from mmdet.apis import init_detector as init
        from mmdet.visualization import DetLocalVisualizer

        visualizer = DetLocalVisualizer(name='ccmim_predictions')
        options = dict(pred_score_thr=least_score)
    else:
        from mmseg.apis import inference_model as infer
        from mmseg.apis import init_model as init
        from mmseg.visualization import SegLocalVisualizer

        visualizer = SegLocalVisualizer(name='ccmim_predictions', alpha=0.6)
        options = dict(with_labels=False)

    def draw(
        image: np.ndarray, sample: Any, meta: dict[str, Any], is_truth: bool
    ) -> np.ndarray:
        visualizer.dataset_meta = meta
        shown = dict(draw_gt=is_truth, draw_pred=not is_truth)
        visualizer.add_datasample('', image, sample, **shown, **options)
        return visualizer.get_image()

    return init, infer, draw


def _truth(cfg: Config, images: Sequence[str]) -> list[Any]:
    """The annotated samples of images, none unless all are in the test data."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        try:
            data: BaseDataset = DATASETS.build(cfg.test_dataloader.dataset)
        except OSError:  # the test data are not on this machine
            return []
    wanted = {os.path.realpath(name): None for name in images}
    for index in range(len(data)):
        path = os.path.realpath(data.get_data_info(index)['img_path'])
        if path in wanted:
            wanted[path] = index
    if None in wanted.values():
        return []
    samples = [data[wanted[os.path.realpath(name)]]['data_samples'] for name in images]
    if cfg.default_scope == 'mmdet':
        from mmdet.models.utils import samplelist_boxtype2tensor

        samplelist_boxtype2tensor(samples)  # as the visualizer wants boxes
    return samples
