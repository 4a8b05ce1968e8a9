"""Small layers: cut images into patches, stochastic depth, no gradient.

B batch, H W image, P patch side, N patches.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cut_patches(images: Tensor, side: int, ids: Tensor | None = None) -> Tensor:
    """Cut images into flat patches in the order of a convolution's weights.

    A convolution over disjoint patches is the product of these with its weights: the
    same sum, and patches that are not wanted cost nothing in either direction.

    Args:
        images: Images of shape (B, C, H, W); padded with zeros on the right and bottom
            to whole patches.
        side: Side P of a patch in pixels.
        ids: Patches wanted, of shape (B, n), in [0, N); all, row by row, when None.

    Returns:
        Patches of shape (B, n, C * P * P).
    """
    height, width = images.shape[-2:]
    if height % side or width % side:
        images = F.pad(images, (0, -width % side, 0, -height % side))
    grid = images.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    patches = grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    if ids is None:
        return patches
    return patches.gather(1, ids.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))


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


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without a gradient, as ``torch.no_grad``; also a decorator.

    To be used wherever weights that are being trained compute without a gradient.
    Autocast casts each weight once and keeps the cast for the rest of the step. Before
    torch 2.11 it also keeps casts made without a graph, and hands them to the pass with
    a gradient: the loss is the same, but the weight's gradient is missing. So within
    this context casts are neither kept nor taken from what is kept.
    """
    kept = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_autocast_cache_enabled(kept)
