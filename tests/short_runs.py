"""Runs that take a second: a narrow network, eight photos of 64 px, no workers."""

import os
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).parents[1]
ARCH = dict(embed_dim=32, depth=2, num_heads=2)
DECODER = dict(embed_dim=16, depth=1, num_heads=2)
SHORT = {
    'train_dataloader.batch_size': 2,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.pin_memory': False,
    'optim_wrapper.accumulative_counts': 1,
    'default_hooks.checkpoint.interval': 1,
    'default_hooks.logger.interval': 1,
}


def short_config(leaf, work_dir, data, changes=None):
    """Read a leaf of mm_configs for a short run on the photos of a folder.

    Changes are by dotted key. Two runs may begin in the same second: each has a name.
    """
    cfg = Config.fromfile(ROOT / f'mm_configs/{leaf}.py')
    cfg.model.backbone.update(arch=dict(ARCH), img_size=64)
    for part in ('decoder', 'predictor'):
        if 'depth' in cfg.model.get(part, {}):
            cfg.model[part].update(DECODER)
    cfg.merge_from_dict({
        **SHORT,
        'train_dataloader.dataset.data': str(data),
        'work_dir': str(work_dir),
        'experiment_name': f'{Path(work_dir).name}_{os.urandom(4).hex()}',
        **(changes or {}),
    })  # fmt: skip
    return cfg


def record_losses(runner):
    """Collect what each step of a run logs, as it goes."""
    losses, train_step = [], runner.model.train_step

    def recorded(*args, **kwargs):
        logged = train_step(*args, **kwargs)
        losses.append({k: v.item() for k, v in logged.items()})
        return logged

    runner.model.train_step = recorded
    return losses
