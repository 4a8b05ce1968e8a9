"""Small trainings and measures, many of them in one process.

n images, D width, C classes.
"""

import copy
import os
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ccmim.apps.compare.scores import Score
from ccmim.engine.config import read_config
from ccmim.engine.launch import build_runner
from ccmim.engine.settings import fit_sizes
from ccmim.evaluation import extract_features, knn_accuracy, linear_accuracy
from ccmim.registry import DATASETS

ROOT = Path(__file__).resolve().parents[2]
# A ViT of 0.45 million weights and 16 patches that sees 5,000 images twice.
SMALL: Mapping[str, Any] = {
    'model.backbone.arch': dict(embed_dim=96, depth=4, num_heads=3),
    'model.backbone.patch_size': 8,
    'train_cfg.max_epochs': 2,
    'train_dataloader.batch_size': 64,
    'train_dataloader.num_workers': 0,
    'train_dataloader.dataset.fraction': 0.1,
    'default_hooks.checkpoint.interval': 1000,
    'default_hooks.logger.interval': 13,
    'visualizer.vis_backends': [dict(type='LocalVisBackend')],
}
_BATCH = 500


def train(
    config: str, out: Path, seed: int, options: Mapping[str, Any], small: bool = True
) -> tuple[nn.Module, dict[str, float], float]:
    """Train what a config describes, made small; arguments as of ``settle``.

    Returns:
        The trained model, what its last line of the log says, and its CPU seconds.
    """
    cfg = settle(config, out, seed, options, small)
    runner = build_runner(cfg)
    start = time.process_time()
    runner.train()
    seconds = time.process_time() - start
    scalars = runner.message_hub.log_scalars
    last = {
        key.removeprefix('train/'): float(buffer.mean(min(13, len(buffer.data[0]))))
        for key, buffer in scalars.items()
        if key.startswith(('train/', 'val/')) and len(buffer.data[0])
    }
    return runner.model.eval(), last, seconds


def settle(
    config: str, out: Path, seed: int, options: Mapping[str, Any], small: bool = True
) -> Config:
    """Make a config small.

    Args:
        config: Below ``mm_configs``.
        out: Work dir.
        seed: Seed.
        options: Changes of the config, by dotted key; they come after those of
            ``SMALL``. ``Ellipsis`` takes a key of ``SMALL`` out.
        small: Whether ``SMALL`` counts.
    """
    changes = {**(SMALL if small else {}), **options, 'randomness.seed': seed}
    changes = {k: v for k, v in changes.items() if v is not ...}
    prefix, backbone = 'model.backbone.', {}
    for key in [key for key in changes if key.startswith(prefix)]:
        backbone[key.removeprefix(prefix)] = copy.deepcopy(changes.pop(key))
    file = str(ROOT / 'mm_configs' / config)
    cfg: Config = read_config(file, str(out), backbone=backbone)
    cfg.merge_from_dict(copy.deepcopy(changes))
    dataset = cfg.train_dataloader.dataset
    if dataset.type == 'KeptImages':
        dataset.pop('transform')  # of the images that are read one by one
        dataset.size = cfg.model.backbone.img_size
    fit_sizes(cfg)
    for name in ('probe', 'pictures'):
        if name in cfg.default_hooks:
            cfg.default_hooks[name] = None
    cfg.experiment_name = f'{out.name}_{seed}_{time.time_ns()}'
    cfg.visualizer.name = cfg.experiment_name  # one for each run of this process
    return cfg


def data(folder: str) -> Path:
    """Find a folder of the small data sets."""
    return Path(os.environ.get('CCMIM_DATA', 'data')) / folder


@cache
def photos(split: str, ratio: float) -> tuple[Tensor, Tensor]:
    """Read a part of CIFAR-10, always the same: uint8 (n, 3, 32, 32), classes (n,)."""
    images = DATASETS.build(
        dict(
            type='ccmim.LabeledImages',
            data=str(data(f'cifar10/{split}')),
            label_ratio=ratio,
            transform=[dict(type='ccmim.ToUint8Tensor')],
        )
    )
    samples = [images[i] for i in range(len(images))]
    labels = torch.tensor([sample['labels'] for sample in samples])
    return torch.stack([sample['inputs'] for sample in samples]), labels


def features(model: nn.Module, images: Tensor, pool: str = 'both') -> Tensor:
    """Compute features (n, 2 D) of images uint8 (n, 3, H, W)."""
    zeros = torch.zeros(len(images), dtype=torch.long)
    batches = [
        dict(inputs=list(part), labels=label)
        for part, label in zip(images.split(_BATCH), zeros.split(_BATCH), strict=True)
    ]
    extracted, _ = extract_features(
        model.backbone, batches, model.data_preprocessor, pool, quiet=True
    )
    return extracted


def probes(model: nn.Module) -> dict[str, float]:
    """Measure k-NN and a linear probe: 5,000 images with labels, 2,000 queries."""
    train, labels = photos('train', 0.1)
    test, truth = photos('test', 0.2)
    ours, theirs = features(model, train), features(model, test)
    return {
        'k-NN': knn_accuracy(ours, labels, theirs, truth),
        'linear': linear_accuracy(ours, labels, theirs, truth),
    }


def scores(arm: str, task: str, seed: int, values: Mapping[str, float]) -> list[Score]:
    """Note what was measured of a run."""
    return [Score(arm, task, seed, name, value) for name, value in values.items()]
