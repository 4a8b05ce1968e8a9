"""Fine-tuning for dense tasks as rows: the configs' models, images made up.

B batch, S side of the canvas.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from benchmarks.inputs import from_memory, noise_batches
from benchmarks.precision import DTYPES, matmul_precision
from benchmarks.rows import Contender, Label, training_state
from ccmim.dense.made_up import made_up_areas, made_up_objects
from ccmim.engine.compile import compile_blocks, use_channels_last
from ccmim.engine.config import read_config

VARIANTS = ('plain', 'channels_last', 'compiled')


class DenseTask:
    """A detector or segmentor with its optimizers, in one variant.

    Args:
        config: Path of a config of ``mm_configs/detection`` or ``segmentation``.
        variant: Of ``VARIANTS``.
        options: Changes of the config by dotted key.
        device: Where it trains.
        side: Side S of the square images; that of the config when None.

    Raises:
        ValueError: If the config is of no dense task.
    """

    def __init__(
        self,
        config: str,
        variant: str,
        options: Mapping[str, Any] | None,
        device: torch.device,
        side: int | None = None,
    ) -> None:
        self.name, self.variant, self.device = Path(config).stem, variant, device
        sides = {'model.backbone.img_size': side} if side else {}
        self.cfg = read_config(config, None, {**sides, **(options or {})})
        self.side = _canvas(self.cfg)
        self.cfg.model.backbone.init_cfg = None
        self._scope = self.cfg.default_scope
        torch.manual_seed(0)
        scope = DefaultScope.overwrite_default_scope(self._scope)
        with scope, warnings.catch_warnings():
            warnings.simplefilter('ignore')  # the heads' own
            model = MODELS.build(self.cfg.model)
            model.init_weights()
        if device.type == 'cpu':
            model = revert_sync_batchnorm(model)  # PyTorch has none for the CPU
        self.model = model.to(device).train()
        if variant == 'channels_last':
            use_channels_last(self.model)
        if variant == 'compiled':
            compile_blocks(self.model)
        self._wrappers: dict[str, OptimWrapper] = {}

    def row(
        self, precision: str, batch_size: int, count: int = 2, predicts: bool = False
    ) -> Contender:
        """Describe the row of a precision; batches, ``count`` of them, take turns.

        Args:
            precision: A name in ``DTYPES``.
            batch_size: Images of a step.
            count: Number of batches.
            predicts: Whether the model predicts, with all that follows the network,
                instead of training.

        Raises:
            ValueError: If one image is too few for a pyramid that pools to one value.
        """
        head = getattr(self.model, 'decode_head', None)
        if batch_size < 2 and hasattr(head, 'psp_modules'):
            raise ValueError(
                f'{self.name} has norms over the batch: set --batch-size to 2 or more'
            )
        method = self.name if self.variant == 'plain' else f'{self.name} {self.variant}'
        method = f'{method} inference' if predicts else method
        arch = self.cfg.model.backbone.arch
        size = arch[0] if isinstance(arch, str) else '-'
        return Contender(
            Label('dense', size, batch_size, 'ours', method, precision),
            lambda batches: (self._predict if predicts else self._train)(
                batches, precision
            ),
            from_memory([self.batch(batch_size, seed) for seed in range(count)]),
            loss=None if predicts else lambda batch: self._loss(batch, precision),
            state=lambda: self._state(precision),
        )

    def batch(self, size: int, seed: int) -> dict[str, list[Any]]:
        """Make up a batch as the config's loader collates it, on the CPU."""
        cpu, generator = torch.device('cpu'), np.random.default_rng(seed)
        images = noise_batches(size, self.side, cpu, count=1, seed=seed)[0]
        make = made_up_objects if self._scope == 'mmdet' else made_up_areas
        num_classes = _num_classes(self.cfg)
        samples = [make(self.side, num_classes, generator) for _ in range(size)]
        return dict(inputs=list(images), data_samples=samples)

    def _wrapper(self, precision: str) -> OptimWrapper:
        if precision not in self._wrappers:
            cfg = self.cfg.optim_wrapper.to_dict()
            cfg['type'] = 'ccmim.AutocastOptimWrapper'
            cfg['dtype'] = str(DTYPES[precision]).removeprefix('torch.')
            cfg['optimizer']['lr'] = 1e-6  # random weights diverge at a real one
            with DefaultScope.overwrite_default_scope(self._scope):
                self._wrappers[precision] = build_optim_wrapper(self.model, cfg)
        return self._wrappers[precision]

    def _state(self, precision: str) -> Iterator[Tensor]:
        return training_state(self.model, self._wrapper(precision).optimizer)

    def _train(self, batches: Iterator[Any], precision: str) -> None:
        wrapper = self._wrapper(precision)
        with matmul_precision(precision):
            for batch in batches:
                self.model.train_step(batch, wrapper)

    def _loss(self, batch: Any, precision: str) -> Tensor:
        with self._wrapper(precision).optim_context(self.model):
            data = self.model.data_preprocessor(batch, True)
            losses = self.model(**data, mode='loss')
        return self.model.parse_losses(losses)[0]

    @torch.no_grad()
    def _predict(self, batches: Iterator[Any], precision: str) -> None:
        dtype, self.model = DTYPES[precision], self.model.eval()
        kind = self.device.type
        with matmul_precision(precision):
            for batch in batches:
                with torch.autocast(kind, dtype, enabled=dtype != torch.float32):
                    self.model.test_step(batch)
        self.model.train()


def _canvas(cfg: Config) -> int:
    """Return the side that images are padded to."""
    preprocessor = cfg.model.get('data_preprocessor') or {}
    if cfg.get('default_scope') == 'mmdet':
        return preprocessor.pad_size_divisor
    if cfg.get('default_scope') == 'mmseg':
        return preprocessor.size[0]
    raise ValueError(
        f'{cfg.filename} is of no dense task: choose configs of '
        'mm_configs/detection and mm_configs/segmentation'
    )


def _num_classes(cfg: Config) -> int:
    if cfg.default_scope == 'mmseg':
        return cfg.model.decode_head.num_classes
    if 'panoptic_head' in cfg.model:
        return cfg.model.panoptic_head.num_things_classes
    head = cfg.model.roi_head.bbox_head
    return (head[0] if isinstance(head, list) else head).num_classes
