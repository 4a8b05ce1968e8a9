"""Fully sharded training (FSDP): weights, gradients and moments spread over processes.

Each process keeps a part of every parameter. A transformer block is gathered when it is
computed and freed again, so that a model may be larger than a device.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from mmengine.dist import broadcast, get_world_size
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from ccmim.engine.sharded_state import spread
from ccmim.methods.base import PretrainMethod
from ccmim.registry import MODEL_WRAPPERS
from ccmim.teachers.ema_teacher import EMATeacher
from ccmim.teachers.frozen_start import FrozenStart
from ccmim.text.tower import TextTower
from ccmim.vit import Block

# What is called on parts of a method besides `forward`.
_BLOCK = ('forward_scored', 'forward_windows', 'score')
_PART = ('embed', 'encode', 'class_attention', 'run', 'of_masked')


@MODEL_WRAPPERS.register_module()
class FullyShard(nn.Module):
    """Spread a model over all processes by PyTorch's ``fully_shard``.

    ``model_wrapper_cfg=dict(type='ccmim.FullyShard')`` takes the place of
    ``MMDistributedDataParallel``, for pretraining, detection and segmentation. Losses
    and updates are those of DDP. A checkpoint serves transfer, and resumes with any
    number of processes.

    Args:
        module: The model, on its device; changed in place.
        param_dtype: Precision in which weights are gathered and used; gradients are
            summed and weights updated in float32. 'bfloat16' halves what is sent.
        state_dict_type: How checkpoints are saved. 'full': whole tensors, gathered by
            the main process, as one process saves them. 'sharded': each process writes
            its own rows, all at once, into ``iter_3.shards`` beside ``iter_3.pth``.

    Raises:
        ValueError: If the model has an anchor.
    """

    def __init__(
        self,
        module: nn.Module,
        param_dtype: Literal['float32', 'bfloat16'] = 'float32',
        state_dict_type: Literal['full', 'sharded'] = 'full',
    ) -> None:
        super().__init__()
        if any(isinstance(part, FrozenStart) for part in module.modules()):
            raise ValueError(
                'model.anchor copies the network in the middle of a step, where '
                'FullyShard has gathered parts of it: leave out one of the two'
            )
        if not getattr(module, 'is_init', True):
            module.init_weights()  # later the pieces would be drawn, each from a seed
        for value in [*module.parameters(), *module.buffers()]:
            broadcast(value.detach(), src=0)
        device = next(module.parameters()).device.type
        self.mesh = init_device_mesh(device, (get_world_size(),))
        self.saves_shards = state_dict_type == 'sharded'
        options: dict[str, Any] = dict(mesh=self.mesh)
        if param_dtype == 'bfloat16':
            options['mp_policy'] = MixedPrecisionPolicy(
                torch.bfloat16, torch.float32, cast_forward_inputs=False
            )
        for block in _blocks(module):
            fully_shard(block, **options)
            _enter_by(block, _BLOCK)
        for part in _parts(module):
            fully_shard(part, **options, reshard_after_forward=False)
            _enter_by(part, _PART)
        self.module: Any = fully_shard(module, **options)
        module._get_fsdp_state()._lazy_init()  # a part may be computed before the whole
        for part in module.modules():  # after their hooks, which see whole tensors
            if any(isinstance(value, DTensor) for value in part._parameters.values()):
                part.register_load_state_dict_pre_hook(spread)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the model does."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Take a training step, from weights that are all in pieces."""
        for part in self.module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()  # a validation leaves some as they were used
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data: Any) -> Any:
        """Compute predictions of a batch."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        """Compute predictions of a batch."""
        return self.module.test_step(data)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for part in module.children():
        if isinstance(part, Block):
            yield part
        elif not isinstance(part, TextTower):  # which looks into its blocks
            yield from _blocks(part)


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """The parts of a method: used one by one, by a probe too.

    Teachers move towards others before these are computed: theirs are apart.
    """
    for part in module.children():
        if any(isinstance(inner, EMATeacher) for inner in part.modules()):
            yield from _parts(part)
        elif isinstance(module, PretrainMethod | EMATeacher) and any(
            True for _ in part.parameters()
        ):
            yield part


def _enter_by(part: nn.Module, names: tuple[str, ...]) -> None:
    for name in names:
        if callable(getattr(type(part), name, None)):
            register_fsdp_forward_method(part, name)
