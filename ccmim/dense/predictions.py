"""Draw and save predictions of detectors and segmentors.

Imports mmdet or mmseg when something is drawn, not before.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, MODELS, DefaultScope, init_default_scope
from torch import Tensor

from ccmim.checkpoints import guard_mmengine, load_file
from ccmim.checkpoints.config_text import read_values
from ccmim.labels.settings import wheel
from ccmim.pictures.overlay import (
    Color,
    Objects,
    draw_map,
    draw_objects,
    with_legend,
)
from ccmim.pictures.saved_method import fill
from ccmim.pictures.tiles import resized, sheet

LIBRARIES = ('mmdet', 'mmseg')
_PLACES = ('data_root', 'ann_file', 'data_prefix', 'img_suffix', 'seg_map_suffix')


class Predictor:
    """A trained detector or segmentor, with its library's own way to use it.

    Args:
        cfg: Its config.
        file: Checkpoint of a run of the config.
        device: Where to compute.
        least_score: Objects of a lower score are not drawn.

    Attributes:
        model: Of mmdet or mmseg.
        classes: Their names.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ImportError: If the library is not installed.
        ValueError: If the config is of another kind, or the checkpoint does not fit.
    """

    def __init__(
        self,
        cfg: Config,
        file: str | Path,
        device: str = 'cpu',
        least_score: float = 0.3,
    ) -> None:
        scope = cfg.get('default_scope')
        if scope not in LIBRARIES:
            raise ValueError(
                f'{file}: predictions are made by detectors and segmentors, and this '
                'config is of neither'
            )
        guard_mmengine()
        content = load_file(file)
        if 'dataset_meta' not in content.get('meta', {}):
            raise ValueError(
                f'{file} names no classes: no run of a detector or segmentor wrote it'
            )
        if scope == 'mmdet':
            from mmdet.apis import inference_detector as infer
        else:
            from mmseg.apis import inference_model as infer
        self._infer, self._least = infer, least_score
        cfg = cfg.copy()
        if scope == 'mmseg':  # which knows labels to leave out by their old name alone
            cfg.test_pipeline = [
                step
                for step in cfg.test_dataloader.dataset.pipeline
                if not step['type'].endswith(('LoadAnnotations', 'LoadLabelMap'))
            ]
        cfg.model.backbone.init_cfg = None  # all of it is in the file
        init_default_scope(scope)
        self.model = MODELS.build(cfg.model)
        self.model.cfg = cfg  # where the libraries look for it
        self.model.to(device).eval()
        # Strictly: the libraries load what fits and go on, and chance would be drawn.
        fill(self.model, content['state_dict'], file)
        self.meta = self.model.dataset_meta = content['meta']['dataset_meta']
        self.classes = list(self.meta['classes'])
        palette = self.meta.get('palette')
        if not isinstance(palette, list | tuple) or len(palette) < len(self.classes):
            palette = wheel(len(self.classes))
        self._colors = [tuple(map(int, color)) for color in palette]

    def __call__(self, image: str | np.ndarray) -> Any:
        """Predict.

        Args:
            image: A file, or uint8 BGR pixels (H, W, 3).

        Returns:
            The data sample of mmdet or mmseg.
        """
        return self._infer(self.model, image)

    def draw(
        self, photo: np.ndarray, sample: Any, is_truth: bool = False
    ) -> np.ndarray:
        """Draw a sample over its photo.

        Args:
            photo: uint8 RGB pixels (H, W, 3).
            sample: Predicted, or of the annotated data.
            is_truth: Whether to draw what is annotated.

        Returns:
            uint8 RGB pixels (H, W, 3).
        """
        if (name := _map_name(is_truth)) in sample:
            return draw_map(photo, sample.get(name).data[0].cpu().numpy(), self._colors)
        objects = self._objects(sample, is_truth)
        return draw_objects(photo, objects, self.classes, self._colors)

    def legend(self, sample: Any, is_truth: bool = False) -> dict[str, Color]:
        """Give the colors of the classes that are drawn of a sample, by name."""
        if (name := _map_name(is_truth)) in sample:
            found = np.unique(sample.get(name).data.cpu().numpy())
        else:
            found = np.unique(self._objects(sample, is_truth).labels)
        known = [i for i in found.tolist() if i < len(self.classes)]
        return {self.classes[i]: self._colors[i] for i in known}

    def _objects(self, sample: Any, is_truth: bool) -> Objects:
        found = sample.gt_instances if is_truth else sample.pred_instances
        if not is_truth:
            found = found[found.scores >= self._least]
        masks = found.get('masks')
        if masks is not None:
            masks = getattr(masks, 'masks', masks)  # of mmdet's BitmapMasks
            masks = np.asarray(masks.cpu() if isinstance(masks, Tensor) else masks)
        boxes = getattr(found.bboxes, 'tensor', found.bboxes)
        scores = None if is_truth else found.scores.cpu().numpy()
        labels = found.labels.cpu().numpy()
        return Objects(boxes.cpu().numpy(), labels, scores, masks)


def _map_name(is_truth: bool) -> str:
    return 'gt_sem_seg' if is_truth else 'pred_sem_seg'


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


def config_of(file: str | Path) -> Config:
    """Read the config that a checkpoint was trained with, as values: no code is run.

    Args:
        file: Written by ``tools/train.py``.

    Returns:
        The config; modules of this library that it imports are imported.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the checkpoint has no config.
    """
    text = load_file(file).get('meta', {}).get('config_text')
    if not text:
        raise ValueError(f'{file} has no config in it: it is no checkpoint of a run')
    try:
        cfg = Config(read_values(text))
    except ValueError as error:
        raise ValueError(f'the config in {file} cannot be read: {error}') from None
    for module in (cfg.get('custom_imports') or {}).get('imports') or ():
        if str(module).startswith('ccmim.'):  # what a file names may be anything
            import_module(module)
    return cfg


def objects_of(
    sample: Any, image_id: int, least_score: float, start: int
) -> list[dict[str, Any]]:
    """Write detected objects as COCO's format does.

    Args:
        sample: What a detector predicts.
        image_id: Number of the image.
        least_score: Objects of a lower score are left out.
        start: Number of the first object.

    Returns:
        Annotations with a ``score``; categories count from 1, in the order of the
        classes. Of a panoptic prediction objects and regions, without a score.
    """
    if 'pred_instances' not in sample:
        return _segments_of(sample.pred_panoptic_seg, image_id, start)
    found = sample.pred_instances.cpu().numpy()
    objects = []
    for i in np.flatnonzero(found.scores >= least_score):
        left, top, right, bottom = found.bboxes[i].tolist()
        box = [left, top, right - left, bottom - top]
        one = dict(
            id=start + len(objects),
            image_id=image_id,
            category_id=int(found.labels[i]) + 1,
            bbox=[round(value, 2) for value in box],
            area=round(box[2] * box[3], 2),
            iscrowd=0,
            score=round(float(found.scores[i]), 4),
        )
        if 'masks' in found:
            from pycocotools import mask as coco_mask

            packed = coco_mask.encode(np.asfortranarray(found.masks[i], np.uint8))
            one['area'] = int(coco_mask.area(packed))
            counts = packed['counts'].decode()
            one['segmentation'] = dict(size=packed['size'], counts=counts)
        objects.append(one)
    return objects


def _segments_of(segments: Any, image_id: int, start: int) -> list[dict[str, Any]]:
    from mmdet.structures import INSTANCE_OFFSET
    from pycocotools import mask as coco_mask

    drawn = segments.sem_seg[0].cpu().numpy()
    objects: list[dict[str, Any]] = []
    for number in np.unique(drawn):
        category = int(number) % INSTANCE_OFFSET
        if category == segments.ignore_index:
            continue
        packed = coco_mask.encode(np.asfortranarray(drawn == number, np.uint8))
        size, counts = packed['size'], packed['counts'].decode()
        objects.append(
            dict(
                id=start + len(objects),
                image_id=image_id,
                category_id=category + 1,
                bbox=[round(side, 2) for side in coco_mask.toBbox(packed).tolist()],
                area=int(coco_mask.area(packed)),
                iscrowd=0,
                segmentation=dict(size=size, counts=counts),
            )
        )
    return objects


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
    places = [os.path.realpath(name) for name in images]
    known: dict[str, Any] = {}
    for dataset in _labeled(cfg):
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            try:
                data: BaseDataset = DATASETS.build(dataset)
            except OSError:  # these data are not on this machine
                continue
            for index in range(len(data)):
                path = os.path.realpath(data.get_data_info(index)['img_path'])
                if path in places and path not in known:
                    known[path] = data[index]['data_samples']
        if known.keys() == set(places):
            break
    else:
        return []
    samples = [known[path] for path in places]
    if cfg.default_scope == 'mmdet':
        from mmdet.models.utils import samplelist_boxtype2tensor

        samplelist_boxtype2tensor(samples)  # as the visualizer wants boxes
    return samples
