"""Stochastic depth, with or without the work for what is dropped."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Samples = Tensor | slice


class DropPath(nn.Module):
    """Add a branch to its input, for a random part of the samples only.

    What is kept is scaled up, so that the sum has the expectation that it has without
    dropping (https://arxiv.org/abs/1603.09382).

    Args:
        rate: Probability, in [0, 1), that a sample skips the branch in training.
        subset: Whether the branch is computed for the kept samples only, as in DINOv2:
            ``round(rate * B)`` of a batch of B are dropped, always as many. Where that
            is none, each sample is dropped by itself, after the branch.
    """

    keep: Tensor

    def __init__(self, rate: float = 0.0, subset: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self.drops = rate > 0
        self.subset = subset
        # A tensor and a flag: the compiler would compile anew for each number.
        self.register_buffer('keep', torch.tensor(1.0 - rate), persistent=False)

    def forward(self, x: Tensor, branch: Callable[[Samples], Tensor]) -> Tensor:
        """Add ``branch`` of the kept samples to x.

        Args:
            x: Tokens of shape (B, n, D).
            branch: Takes an index of b samples; gives what to add, (b, n, D).

        Returns:
            The sum, of shape (B, n, D).
        """
        if not (self.drops and self.training):
            return x + branch(slice(None))
        if self.subset and (dropped := self._count(len(x))):
            kept = torch.randperm(len(x), device=x.device)[dropped:]
            scale = len(x) / len(kept)
            return x.index_add(0, kept, branch(kept).to(x.dtype), alpha=scale)
        added = branch(slice(None))
        factors = self.keep.expand(len(x), 1, 1).bernoulli() / self.keep
        return x + added * factors.to(added.dtype)

    def _count(self, batch: int) -> int:
        return min(round(self.rate * batch), batch - 1)
