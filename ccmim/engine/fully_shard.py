"""Fully sharded training (FSDP): weights, gradients and moments spread over processes.

Each process keeps a part of every parameter. A transformer block is gathered when it is
computed and freed again, so that a model may be larger than a device.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from mmengine.dist import broadcast, get_world_size, is_main_process
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, distribute_tensor

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
    and updates are those of DDP. A checkpoint holds whole tensors, as that of one
    process does: it serves transfer, and resumes with any number of processes.

    Args:
        module: The model, on its device; changed in place.
        param_dtype: Precision in which weights are gathered and used; gradients are
            summed and weights updated in float32. 'bfloat16' halves what is sent.

    Raises:
        ValueError: If the model has an anchor.
    """

    def __init__(
        self,
        module: nn.Module,
        param_dtype: Literal['float32', 'bfloat16'] = 'float32',
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
        options: dict[str, Any] = dict(
            mesh=init_device_mesh(device, (get_world_size(),))
        )
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
                part.register_load_state_dict_pre_hook(_spread)

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


def save_whole(runner: Runner) -> None:
    """Let a Runner whose model is sharded save, and take up, whole tensors.

    All processes have to save together, as ``SafeCheckpointHook`` does.

    Raises:
        ValueError: If the run has what does not go with sharded weights.
    """
    cfg = runner.cfg
    for key, found in {
        'compile_blocks=True': cfg.get('compile_blocks') is True,
        "optim_wrapper.dtype='float16'": cfg.optim_wrapper.get('dtype') == 'float16',
        'EMAHook': any(isinstance(hook, EMAHook) for hook in runner.hooks),
    }.items():
        if found:
            raise ValueError(f'{key} cannot be had with FullyShard: leave out one')
    build, save = runner.build_optim_wrapper, runner.save_checkpoint

    def build_optim_wrapper(optim_wrapper: Any) -> Any:
        built = build(optim_wrapper)
        built.optimizer.register_load_state_dict_pre_hook(_spread_moments)
        return built

    def save_gathered(*args: Any, **kwargs: Any) -> None:
        model, optimizer = runner.model.module, runner.optim_wrapper.optimizer
        weights, moments = model.state_dict(), _gather(optimizer.state_dict())
        weights.update(_gather({**weights}))
        if is_main_process():
            model.state_dict, optimizer.state_dict = lambda: weights, lambda: moments
        try:
            save(*args, **kwargs)
        finally:
            if is_main_process():
                del model.state_dict, optimizer.state_dict

    runner.build_optim_wrapper = build_optim_wrapper
    runner._init_model_weights = lambda: None  # they were, before they were spread
    runner.save_checkpoint = save_gathered


def _gather(state: Any) -> Any:
    """Whole tensors on the main process; the others only take part."""
    if isinstance(state, DTensor):
        whole = state.full_tensor()
        return whole.cpu() if is_main_process() else None
    if isinstance(state, dict):
        return {key: _gather(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_gather(value) for value in state]
    return state


def _spread(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, own in module._parameters.items():
        value = state.get(prefix + name)
        if isinstance(own, DTensor) and isinstance(value, Tensor):
            state[prefix + name] = _like(own, value)


def _spread_moments(optimizer: Any, state: dict[str, Any]) -> dict[str, Any]:
    own = [value for group in optimizer.param_groups for value in group['params']]
    numbers = [n for group in state['param_groups'] for n in group['params']]
    moments = dict(state['state'])
    for value, number in zip(own, numbers, strict=True):
        if number in moments and isinstance(value, DTensor):
            moments[number] = {
                key: _like(value, moment)
                if isinstance(moment, Tensor) and moment.shape == value.shape
                else moment
                for key, moment in moments[number].items()
            }
    return {**state, 'state': moments}


def _like(own: DTensor, value: Tensor) -> Tensor:
    if value.shape != own.shape or isinstance(value, DTensor):
        return value  # another shape is refused by who loads it
    value = value.to(own.device, own.dtype)
    return distribute_tensor(value, own.device_mesh, own.placements)
