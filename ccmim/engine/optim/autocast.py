"""One optimizer wrapper for fp32, bf16 and fp16, on the CPU and on GPUs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from ccmim.engine.nonfinite.update_guard import UpdateGuard, total_norm, whole_norm
from ccmim.precision import computes_in_bf16
from ccmim.registry import OPTIM_WRAPPERS

Dtype = Literal['float32', 'bfloat16', 'float16', 'auto']


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Run the forward pass under autocast; weights stay in float32.

    Differs from mmengine's ``AmpOptimWrapper``: it works without a GPU, and only fp16
    has a gradient scaler, as bf16 has the range of float32. Updates with a loss or
    gradients that are no numbers are left out, on all processes alike.

    Args:
        dtype: 'float32', 'bfloat16', 'float16', or 'auto' for bf16 where the device
            has instructions for it and float32 elsewhere (emulated bf16 is slow). The
            main process decides for all, and a run that is resumed keeps what it had.
        kwargs: Arguments of mmengine's ``OptimWrapper``.
    """

    def __init__(self, dtype: Dtype = 'bfloat16', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.device_type = get_device().split(':')[0]
        self.is_auto = dtype == 'auto'
        if self.is_auto:
            dtype = 'bfloat16' if computes_in_bf16(self.device_type) else 'float32'
            answer = [dtype]
            broadcast_object_list(answer)
            dtype = answer[0]
        self.guard = UpdateGuard()
        self._grad_norm: Tensor | None = None
        self._compute_in(dtype)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Return the context of a forward pass."""
        with (
            super().optim_context(model),
            torch.autocast(
                self.device_type, self.dtype, enabled=self.dtype != torch.float32
            ),
        ):
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Compute gradients, of the scaled loss in fp16; NaN if the loss is bad."""
        # 1, or NaN, which reaches all gradients and with them all processes.
        seed = 1 + 0 * loss.detach()
        super().backward(self.scaler.scale(loss), gradient=seed, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Clip gradients if asked to and update, unless they are no numbers."""
        self.scaler.unscale_(self.optimizer)
        norm = self._grad_norm = self._clip_grad()
        if norm is None:
            return
        if self.scaler.is_enabled():
            self.guard.bad = (~torch.isfinite(norm)).float()
            self.scaler.step(self.optimizer, **kwargs)
            self.scaler.update()
        else:
            self.guard.step(self.optimizer, norm, **kwargs)

    def take_grad_norm(self) -> Tensor | None:
        """Hand over the norm of the last step's gradients before clipping, once."""
        norm, self._grad_norm = self._grad_norm, None
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Return the state of optimizer and scaler, and the precision."""
        own = dict(loss_scaler=self.scaler.state_dict(), dtype=_name(self.dtype))
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state, with or without a scaler's part; 'auto' its precision."""
        state_dict = dict(state_dict)
        held, own = state_dict.pop('dtype', None), _name(self.dtype)
        if held in get_args(Dtype) and held != own:
            answer = f'continuing in {held}, though dtype=auto is {own} on this machine'
            if self.is_auto:
                self._compute_in(held)
            else:
                answer = f'the run was in {held} and continues in {own}'
            text = f'optim_wrapper.dtype: {answer}'
            print_log(text, logger='current', level=logging.WARNING)
        if scaler := state_dict.pop('loss_scaler', None):
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)
        follow_layout(self.optimizer)

    def _compute_in(self, dtype: str) -> None:
        self.dtype = getattr(torch, dtype)
        self.scaler = torch.amp.GradScaler(self.device_type, enabled=dtype == 'float16')

    def _clip_grad(self) -> Tensor | None:
        """Clip; the norm before it, None where there are no gradients."""
        # mmengine reads the norm here, and the host would wait for the device.
        groups = self.optimizer.param_groups
        params = [p for g in groups for p in g['params'] if p.grad is not None]
        if not params:
            return None
        if not self.clip_grad_kwargs:
            return total_norm(params)
        if self.grad_name == 'grad_norm':
            return whole_norm(self.clip_func(params, **self.clip_grad_kwargs))
        norm = total_norm(params)  # clipping by value makes infinite ones finite
        self.clip_func(params, **self.clip_grad_kwargs)
        return norm


def follow_layout(optimizer: Optimizer) -> None:
    """Store the state of each weight in the order of memory of the weight.

    A fused optimizer walks through the memory of both: were the one channels last and
    the other not, as after a resume with another layout, it would mix up elements.
    """
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            same = isinstance(value, Tensor) and value.shape == weight.shape
            if same and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')
