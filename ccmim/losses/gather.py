"""Gather tensors over the processes of a distributed run.

Without a distributed run these functions give their input back. Every process must
bring the same shape. n samples of a process, D width, R processes.
"""

from typing import Any

import torch
from torch import Tensor, distributed


def gather_constant(x: Tensor) -> Tensor:
    """Join the tensors of all processes as constants: (n, D) to (R * n, D)."""
    x = x.detach()
    return x if num_processes() == 1 else _all_gather(x)


def gather_with_grad(x: Tensor) -> Tensor:
    """Join the tensors of all processes and let gradients flow back to each.

    A process receives the sum of the gradients that all processes have for its part,
    so that after DDP's averaging the result is the gradient of the mean of the losses.

    Args:
        x: This process's part, of shape (n, D).

    Returns:
        All parts in the order of the ranks, of shape (R * n, D).
    """
    if num_processes() == 1:
        return x
    return _Gather.apply(x)


def sum_constant(x: Tensor) -> Tensor:
    """Sum the tensors of all processes as constants, of one shape."""
    x = x.detach().clone()
    if num_processes() > 1:
        distributed.all_reduce(x)
    return x


def rank() -> int:
    """Return this process's rank, 0 without a distributed run."""
    return distributed.get_rank() if num_processes() > 1 else 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.length = len(x)
        return _all_gather(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.contiguous()
        distributed.all_reduce(grad)
        start = ctx.length * distributed.get_rank()
        return grad[start : start + ctx.length]


def _all_gather(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(num_processes())]
    distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def num_processes() -> int:
    """Count the processes of the run."""
    ready = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if ready else 1
