"""Trainings of some seconds: each pretraining method, a detector and a segmentor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'mm_configs'
DENSE = {'detection': 'demo/mask_rcnn_toy.py', 'segmentation': 'demo/upernet_toy.py'}
VIT = dict(embed_dim=32, depth=2, num_heads=2)
NARROW = dict(hidden_dim=48, length=24, num_words=64, num_references=6)
PHOTOS, EPOCHS, STEPS, INTERVAL, ACCUMULATED = 24, 2, 20, 2, 2
# What begins later than these short runs end, below `model`.
_EARLIER = {'amt_mae': 'sampler', 'amt_simmim': 'sampler.sampler'}


def names() -> list[str]:
    """Name all trainings: the methods of the small configs, then the dense tasks."""
    files = sorted((CONFIGS / 'small').glob('*_vitt.py'))
    return [file.stem.removesuffix('_vitt') for file in files] + list(DENSE)


def write_config(name: str, folder: Path, processes: int = 1) -> Path:
    """Write a training: its config, and the data beside it.

    Args:
        name: One of ``names()``.
        folder: For all trainings.
        processes: That will share a step.

    Returns:
        Path of the config.
    """
    cfg = _dense(name, folder) if name in DENSE else _method(name, folder, processes)
    cfg.merge_from_dict(
        {
            'train_dataloader.batch_size': 2,
            'train_dataloader.num_workers': 1,
            'train_dataloader.persistent_workers': True,
            'optim_wrapper.accumulative_counts': ACCUMULATED,
            'default_hooks.checkpoint.by_epoch': False,
            'default_hooks.checkpoint.interval': INTERVAL,
            'default_hooks.logger.interval': 1,
        }
    )
    file = folder / f'{name}.py'
    cfg.dump(str(file))
    return file


def narrow(part: dict[str, Any]) -> None:
    """Make decoders, heads and teachers in a part of a method's config narrow."""
    if 'num_heads' in part:
        part.update(embed_dim=16, num_heads=2)
    part.update({key: NARROW[key] for key in NARROW.keys() & part.keys()})
    if 'arch' in part:
        part['arch'] = dict(VIT)
    for inside in part.values():
        if isinstance(inside, dict) and 'embed_dim' not in inside:
            narrow(inside)


def add_captions(dataset: dict[str, Any], photos: Path) -> None:
    """Write captions beside a folder of photos, if a data set wants some."""
    if 'captions' not in dataset:
        return
    names = sorted(str(x.relative_to(photos)) for x in photos.rglob('*.jpg'))
    lines = [f'{name},a photo of number {i}' for i, name in enumerate(names)]
    table = photos.parent / 'captions.csv'
    table.write_text('\n'.join(['image,caption', *lines]))
    dataset.update(captions=str(table), part='all')


def _method(name: str, folder: Path, processes: int) -> Config:
    cfg = _read(f'small/{name}_vitt.py')
    cfg.model.backbone.update(arch=dict(VIT), drop_path_rate=0.0)
    for key, part in cfg.model.items():
        if key != 'backbone' and isinstance(part, dict):
            narrow(part)
    teacher = cfg.model.get('teacher') or {}
    if 'checkpoint' in teacher:
        cfg.model.teacher.checkpoint = _teacher(cfg.model.backbone, folder)
    elif teacher:  # it follows the student, once an update
        cfg.model.teacher.interval = ACCUMULATED
    if 'dense_begin' in cfg.model:
        cfg.model.dense_begin = 10
    if name in _EARLIER:
        cfg.merge_from_dict({f'model.{_EARLIER[name]}.begin': 1})
        cfg.custom_hooks[-1].update(begin=1, interval=1)
    photos = _photos(folder, PHOTOS * processes)
    cfg.train_dataloader.dataset.data = str(photos)
    add_captions(cfg.train_dataloader.dataset, photos)
    cfg.train_cfg.max_epochs = EPOCHS
    return cfg


def _dense(name: str, folder: Path) -> Config:
    cfg = _read(DENSE[name])
    cfg.model.backbone.update(arch=dict(VIT, depth=4), img_size=128, init_cfg=None)
    cfg.model.backbone.out_indices = (3,) if name == 'detection' else (0, 1, 2, 3)
    cfg.model.neck.in_channels = 32
    if name == 'segmentation':
        cfg.model.decode_head.in_channels = [32] * 4
        cfg.model.auxiliary_head.in_channels = 32
    cfg.train_cfg.update(max_iters=STEPS, val_interval=6)
    toy = str(write_toy_scenes(folder / 'toy', 12, 2))
    return _moved(cfg, 'work_dirs/toy_scenes', toy)


def _moved(cfg: Config, old: str, new: str) -> Config:
    def move(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: move(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return type(node)(move(value) for value in node)
        return node.replace(old, new) if isinstance(node, str) else node

    return Config(move(cfg.to_dict()))


def _read(leaf: str) -> Config:
    return Config.fromfile(CONFIGS / leaf, import_custom_modules=False)


def _teacher(backbone: Mapping[str, Any], folder: Path) -> str:
    """Write the weights of a network of the student's shape."""
    file = folder / 'teacher.pth'
    if not file.exists():
        torch.manual_seed(1)
        with DefaultScope.overwrite_default_scope('ccmim'):
            torch.save(MODELS.build(dict(backbone)).state_dict(), file)
    return str(file)


def _photos(folder: Path, count: int) -> Path:
    rng, data = np.random.default_rng(0), folder / 'photos'
    data.mkdir(exist_ok=True)
    for i in range(count):
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC)
        image.save(data / f'{i}.jpg', quality=95)
    return data
