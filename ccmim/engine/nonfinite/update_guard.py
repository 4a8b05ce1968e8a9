"""Skip updates with non-finite gradients, without synchronizing with the device."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def total_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Compute the norm of all gradients together: a scalar, on their device.

    Args:
        parameters: At least one with a gradient.

    Returns:
        Not finite if a gradient is not.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return whole_norm(norm)


def whole_norm(norm: Tensor) -> Tensor:
    """Return a norm over all processes if it is sharded, else unchanged."""
    return norm.full_tensor() if hasattr(norm, 'full_tensor') else norm


class UpdateGuard:
    """Leave out the updates whose gradients are not finite.

    Fused optimizers read a flag on the device, which is made for fp16, and leave
    weights, moments and their count of steps as they are: the host waits for nothing.
    For other optimizers the host reads the flag at every update.

    Attributes:
        bad: Whether the last update was left out: 1.0 or 0.0, a scalar on the device;
            None before the first.
        hold: Whether after a bad update no other happens either, so that the weights
            stay those that the bad step was computed with.
    """

    def __init__(self) -> None:
        self.bad: Tensor | None = None
        self.hold = False

    def step(self, optimizer: Optimizer, norm: Tensor, **kwargs: Any) -> None:
        """Update, or not.

        Args:
            optimizer: Whose parameters have gradients.
            norm: Of these gradients, the same on all processes.
            kwargs: Arguments of the optimizer's ``step``.
        """
        bad = (~torch.isfinite(norm)).float()
        if self.hold and self.bad is not None:
            bad = torch.maximum(bad, self.bad)
        self.bad = bad
        if getattr(optimizer, '_step_supports_amp_scaling', False):
            optimizer.found_inf = bad  # type: ignore[attr-defined]
            optimizer.step(**kwargs)
            del optimizer.found_inf  # type: ignore[attr-defined]
        elif not bad:
            optimizer.step(**kwargs)


class StatisticsGuard:
    """Undo what bad steps do to running statistics, which would stay NaN for ever."""

    def __init__(self) -> None:
        self._before: list[Tensor] = []

    def note(self, model: nn.Module) -> None:
        """Keep the statistics from before a step; the first of a cycle counts."""
        if not self._before:
            self._before = [buffer.clone() for buffer in _statistics(model)]

    def settle(self, model: nn.Module, bad: Tensor) -> None:
        """Keep those after an update, or take the old ones if it was bad."""
        for buffer, before in zip(_statistics(model), self._before, strict=True):
            buffer.copy_(torch.where(bad > 0, before, buffer))
        self._before = []


def _statistics(model: nn.Module) -> list[Tensor]:
    normed = [m for m in model.modules() if hasattr(m, 'running_mean')]
    return [buffer for module in normed for buffer in module.buffers(recurse=False)]
