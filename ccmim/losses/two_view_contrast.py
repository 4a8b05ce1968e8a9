"""Contrast between two views of each image.

n views of a process, C channels of the projection, R processes.
"""

import torch
from torch import Tensor, nn

from ccmim.losses.cosine import cross_entropy_and_accuracy, products, unit
from ccmim.losses.gather import rank
from ccmim.ranges import Positive
from ccmim.registry import MODELS


@MODELS.register_module()
class TwoViewContrast(nn.Module):
    """Find the other view of an image among all views of all processes.

    NT-Xent (https://arxiv.org/abs/2002.05709, eq. 1): -log(exp(z_i.z_j / T) / sum over
    all k except i of exp(z_i.z_k / T)), of unit vectors, averaged over the views i of
    this process; j is the other view.

    Args:
        temperature: Divisor T of the cosine similarities.
    """

    def __init__(self, temperature: Positive = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss of this process.

        Args:
            queries: Projections of this process's views, of shape (n, C): the first
                views of its images, then the second ones.
            keys: Projections of the views of all processes, in the order of their
                ranks, of shape (R * n, C).

        Returns:
            Scalar, at least float32, log(R * n - 1) when all projections are alike; and
            the fraction of views whose nearest view shows the same image.
        """
        logits = products(unit(queries), unit(keys)) / self.temperature  # (n, R * n)
        length, start = len(queries), len(queries) * rank()
        ids = torch.arange(len(keys), device=keys.device)
        itself = ids == ids[start : start + length, None]
        other = (ids[:length] + length // 2) % length + start
        return cross_entropy_and_accuracy(logits.masked_fill(itself, -torch.inf), other)
