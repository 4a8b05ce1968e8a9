"""Pictures of the quickstart: masks, predictions, features.

Imports mmdet and mmseg when something is found, not before.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image, ImageDraw

from ccmim.apps.demo.scenes import PALETTE
from ccmim.data import ResizeCenterCrop, ToUint8Tensor
from ccmim.files import replacing
from ccmim.pictures import method_sheet
from ccmim.pictures.patch_colors import principal_colors
from ccmim.pictures.photos import normalized, open_photos
from ccmim.pictures.saved_method import load_method
from ccmim.pictures.tiles import enlarge, resized, sheet, spread, tile_size
from ccmim.registry import MODELS

_SIDE, _LEAST_SCORE = 192, 0.3  # pixels of a tile; of detections that are drawn


def draw_masks(cfg: Config, weights: Path, photos: Path, file: Path) -> None:
    """Draw what a method masks of four images and makes of the rest.

    Args:
        cfg: Its config.
        weights: Checkpoint of its run.
        photos: Images.
        file: PNG to write.
    """
    torch.manual_seed(0)
    images = _read(photos, cfg.model.backbone.img_size, 4)
    _save(method_sheet(load_method(cfg, weights), images, _SIDE), file)


@torch.no_grad()
def draw_features(
    cfg: Config, weights: Mapping[str, Path | None], photos: Path, file: Path
) -> None:
    """Draw the patches of images in the colors of their features, of each network.

    Args:
        cfg: A pretraining config, for the network.
        weights: Checkpoint of its run by label, None for random weights.
        photos: Images.
        file: PNG to write.
    """
    images = _read(photos, cfg.model.backbone.img_size, 4)
    columns: dict[str, Any] = {}
    for label, checkpoint in weights.items():
        torch.manual_seed(0)
        if checkpoint is None:
            backbone = MODELS.build(dict(cfg.model.backbone, _scope_='ccmim')).eval()
        else:
            backbone = load_method(cfg, checkpoint).backbone
        size = tile_size(grid := backbone.grid_of(images), _SIDE)
        columns.setdefault('image', enlarge(images / 255, size))
        tokens = backbone.encode(backbone.embed(normalized(images, backbone)))
        (colors,) = principal_colors(tokens[:, 1:])
        columns[label] = (255 * spread(colors, grid, size)).round().astype(np.uint8)
    caption = 'Patches in the colors of their features: alike in color, alike in them.'
    _save(sheet(columns, caption=caption), file)


def draw_detections(
    configs: Mapping[str, Config],
    checkpoints: Mapping[str, Mapping[str, Path]],
    scenes: Path,
    file: Path,
    count: int = 3,
) -> None:
    """Draw detections and maps of several starts beside the truth.

    Args:
        configs: Detection and segmentation config, by task.
        checkpoints: Of their runs, by task and start.
        scenes: Folder of the toy scenes.
        file: PNG to write.
        count: Scenes to show.
    """
    from ccmim.dense.predictor import Predictor

    names = sorted((scenes / 'images/validation').glob('*.jpg'))[:count]
    photos = [np.asarray(Image.open(name)) for name in names]
    image = {'image': [_large(photo) for photo in photos]}
    truth = _true_objects(scenes, names)
    true = [_with_objects(p, t) for p, t in zip(photos, truth, strict=True)]
    objects = {**image, 'true objects': true}
    for start, checkpoint in checkpoints['detection'].items():
        model = Predictor(configs['detection'], checkpoint)
        objects[start] = [
            _with_objects(photo, _find_objects(model, name))
            for photo, name in zip(photos, names, strict=True)
        ]
    maps = [np.asarray(Image.open(_map_of(name)).convert('L')) for name in names]
    true = [_with_map(p, m.astype(int) - 1) for p, m in zip(photos, maps, strict=True)]
    classes = {**image, 'true map': true}
    for start, checkpoint in checkpoints['segmentation'].items():
        model = Predictor(configs['segmentation'], checkpoint)
        classes[start] = [
            _with_map(photo, _find_map(model, name))
            for photo, name in zip(photos, names, strict=True)
        ]
    _save(np.concatenate([sheet(objects), sheet(classes)]), file)


def _save(picture: np.ndarray, file: Path) -> None:
    with replacing(file) as part:
        Image.fromarray(picture).save(part)


def _read(photos: Path, side: int, count: int) -> torch.Tensor:
    crop, to_tensor = ResizeCenterCrop(side, 1.0), ToUint8Tensor()
    return open_photos(photos, lambda image: to_tensor(crop(image)), count).images


def _find_objects(model: Any, name: Path) -> list[tuple[int, list[float]]]:
    predicted = model(str(name)).pred_instances
    sure = predicted.scores >= _LEAST_SCORE
    boxes = zip(
        predicted.labels[sure].tolist(), predicted.bboxes[sure].tolist(), strict=True
    )
    return list(boxes)


def _find_map(model: Any, name: Path) -> np.ndarray:
    return model(str(name)).pred_sem_seg.data[0].numpy()


def _true_objects(
    scenes: Path, names: list[Path]
) -> list[list[tuple[int, list[float]]]]:
    file = scenes / 'annotations/instances_validation.json'
    known = json.loads(file.read_text())
    numbers = {image['file_name']: image['id'] for image in known['images']}
    objects: dict[int, list] = {number: [] for number in numbers.values()}
    for entry in known['annotations']:
        left, top, width, height = entry['bbox']
        box = [left, top, left + width, top + height]
        objects[entry['image_id']].append((entry['category_id'] - 1, box))
    return [objects[numbers[name.name]] for name in names]


def _map_of(name: Path) -> Path:
    root = name.parents[2]
    return root / 'annotations/validation' / f'{name.stem}.png'


def _large(photo: np.ndarray) -> np.ndarray:
    return resized(photo, (_SIDE, _SIDE))


def _with_objects(
    photo: np.ndarray, objects: list[tuple[int, list[float]]]
) -> np.ndarray:
    picture = Image.fromarray(_large(photo))
    draw, zoom = ImageDraw.Draw(picture), _SIDE / len(photo)
    for label, box in objects:
        corners = [zoom * side for side in box]
        if corners[2] > corners[0] and corners[3] > corners[1]:
            draw.rectangle(corners, outline=PALETTE[label], width=3)
    return np.asarray(picture)


def _with_map(photo: np.ndarray, classes: np.ndarray) -> np.ndarray:
    colors = np.array([*PALETTE, (255, 255, 255)], np.uint8)[classes]  # -1 is white
    large = Image.fromarray(colors).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
    mixed = 0.7 * np.asarray(large) + 0.3 * _large(photo)
    return mixed.astype(np.uint8)
