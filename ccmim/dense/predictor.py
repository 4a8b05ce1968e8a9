"""A trained detector or segmentor, and how its predictions are drawn.

Imports mmdet or mmseg when a model is built, not before.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor

from ccmim.checkpoints import guard_mmengine, load_file
from ccmim.checkpoints.config_text import read_values
from ccmim.labels.settings import wheel
from ccmim.pictures.overlay import (
    Color,
    Objects,
    draw_map,
    draw_objects,
)
from ccmim.pictures.saved_method import fill

LIBRARIES = ('mmdet', 'mmseg')


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
        # Strictly: the libraries ignore what does not fit, and noise would be drawn.
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
            present = np.unique(sample.get(name).data.cpu().numpy())
        else:
            present = np.unique(self._objects(sample, is_truth).labels)
        known = [i for i in present.tolist() if i < len(self.classes)]
        return {self.classes[i]: self._colors[i] for i in known}

    def _objects(self, sample: Any, is_truth: bool) -> Objects:
        instances = sample.gt_instances if is_truth else sample.pred_instances
        if not is_truth:
            instances = instances[instances.scores >= self._least]
        masks = instances.get('masks')
        if masks is not None:
            masks = getattr(masks, 'masks', masks)  # of mmdet's BitmapMasks
            masks = np.asarray(masks.cpu() if isinstance(masks, Tensor) else masks)
        boxes = getattr(instances.bboxes, 'tensor', instances.bboxes)
        scores = None if is_truth else instances.scores.cpu().numpy()
        labels = instances.labels.cpu().numpy()
        return Objects(boxes.cpu().numpy(), labels, scores, masks)


def _map_name(is_truth: bool) -> str:
    return 'gt_sem_seg' if is_truth else 'pred_sem_seg'


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
