"""The methods of this project as rows."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor

from benchmarks.flops import FLOPS
from benchmarks.inputs import Feed
from benchmarks.options import apply_option, before_step
from benchmarks.precision import DTYPES, autocast, matmul_precision
from benchmarks.rows import Contender, Label, training_state
from ccmim.engine.config import read_config
from ccmim.methods import ProgressiveResize
from ccmim.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'mm_configs' / 'pretrain'
# Random weights diverge at a real rate without warm-up, and NaN is fast on some CPUs.
_LEARNING_RATE = 1e-6


def method_config(
    method: str, size: str, options: Mapping[str, Any] | None = None
) -> Config:
    """Read the pretraining config of a method at a size.

    Args:
        method: 'ccmim', 'mae', 'hpm', or 'ccmim' with one of ``OPTIONS`` behind it.
        size: 's', 'b', 'l' or 'h'.
        options: Changes by dotted key.

    Returns:
        The config, for steps that each update the weights.
    """
    cfg = read_config(str(CONFIGS / f'ccmim_vit{size}.py'))
    if method in ('mae', 'hpm'):
        shape, cfg = cfg.model, read_config(str(CONFIGS / f'{method}_vitb.py'))
        for part in ('backbone', 'decoder', 'reconstruction'):
            cfg.model[part] = shape[part]
    cfg.merge_from_dict(dict(options or {}))
    if method == 'hpm':
        decoder = cfg.model.decoder
        cfg.model.predictor.update({k: v for k, v in decoder.items() if k != 'type'})
    if ' ' in method:
        apply_option(cfg, method.split()[1])
    cfg.optim_wrapper.accumulative_counts = 1
    cfg.optim_wrapper.optimizer.lr = _LEARNING_RATE
    return cfg


class OurMethod:
    """A method with its optimizers, shared by the rows that differ in less.

    Args:
        method: See ``method_config``.
        size: Letter of the Vision Transformer.
        options: Changes of the config by dotted key.
        device: Where it trains.
    """

    def __init__(
        self,
        method: str,
        size: str,
        options: Mapping[str, Any] | None,
        device: torch.device,
    ) -> None:
        self.method, self.size, self.device = method, size, device
        self.cfg = method_config(method, size, options)
        torch.manual_seed(0)
        self.model = MODELS.build(self.cfg.model).to(device).train()
        plain = method_config(method, size)
        # The table of operations is for the configs' shapes only.
        same = _shape(self.cfg) == _shape(plain)
        self.flops = FLOPS.get((method, size)) if same else None
        self._wrappers: dict[torch.dtype, OptimWrapper] = {}

    def wrapper(self, precision: str) -> OptimWrapper:
        """Build the optimizer wrapper of a training run, once for each dtype."""
        dtype = DTYPES[precision]
        if dtype not in self._wrappers:
            cfg = self.cfg.optim_wrapper.to_dict()
            cfg['dtype'] = str(dtype).removeprefix('torch.')
            with DefaultScope.overwrite_default_scope('ccmim'):
                self._wrappers[dtype] = build_optim_wrapper(self.model, cfg)
        return self._wrappers[dtype]

    def row(self, level: str, precision: str, batch_size: int, feed: Feed) -> Contender:
        """Describe one row; see ``Label`` for the arguments."""

        def loss(images: Tensor) -> Tensor:
            before_step(self.model, -1, len(images))
            with autocast(precision, self.device.type):
                return total_loss(self.model(self.normalize(images), mode='loss'))

        train_all = self._train_bare if level == 'step' else self._train
        label = Label(level, self.size, batch_size, 'ours', self.method, precision)
        return Contender(
            label,
            lambda batches: train_all(batches, precision),
            feed,
            loss if level != 'files' else None,
            self.flops,
            lambda: self._state(precision),
        )

    def _train_bare(self, batches: Iterator[Tensor], precision: str) -> None:
        optimizer = self.wrapper(precision).optimizer
        with matmul_precision(precision):
            for step, images in enumerate(batches):
                before_step(self.model, step, len(images))
                with autocast(precision, self.device.type):
                    losses = self.model(self.normalize(images), mode='loss')
                total_loss(losses).backward()
                optimizer.step()
                optimizer.zero_grad()

    def _train(self, batches: Iterator[Any], precision: str) -> None:
        wrapper = self.wrapper(precision)
        with matmul_precision(precision):
            for step, batch in enumerate(batches):
                data = dict(inputs=batch) if isinstance(batch, Tensor) else batch
                before_step(self.model, step, len(data['inputs']))
                self.model.train_step(data, wrapper)

    def normalize(self, images: Tensor) -> Tensor:
        """Normalize uint8 images (B, 3, H, W) as a step does, in float32."""
        preprocessor = self.model.data_preprocessor
        images = (images.float() - preprocessor.mean) / preprocessor.std
        if isinstance(preprocessor, ProgressiveResize):
            return preprocessor.resize(images)
        return images

    def _state(self, precision: str) -> Iterator[Tensor]:
        return training_state(self.model, self.wrapper(precision).optimizer)


def total_loss(losses: Mapping[str, Tensor]) -> Tensor:
    """Add up what a method returns under names with 'loss', as mmengine does."""
    return sum(value for name, value in losses.items() if 'loss' in name)


def _shape(cfg: Config) -> tuple[Any, ...]:
    model = cfg.model
    backbone = {
        key: model.backbone.get(key) for key in ('arch', 'img_size', 'patch_size')
    }
    return backbone, model.decoder, model.get('scorer'), model.get('mask_ratio')
