"""A queue of the latest vectors of all processes, and InfoNCE against it.

n pairs, m new vectors (keys) of a process, K in the queue, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.losses.cosine import cross_entropy_and_accuracy, products, unit
from ccmim.losses.gather import gather_constant
from ccmim.ranges import Count, Positive
from ccmim.registry import MODELS


class Queue(nn.Module):
    """Hold the newest vectors, the same on each process and in checkpoints.

    Args:
        dim: Channels C.
        length: Vectors K in the queue; random ones at first.
    """

    queue: Tensor  # of shape (K, C), newest first
    per_photo = 1  # vectors that a photo adds in a step

    def __init__(self, dim: int, length: int) -> None:
        super().__init__()
        self.register_buffer('queue', F.normalize(torch.randn(length, dim), dim=1))

    def append(self, new: Tensor) -> None:
        """Add the vectors (m, C) of all processes; the oldest leave."""
        # A new tensor: the backward pass still needs the old one.
        length = len(self.queue)
        new = gather_constant(new)[:length].to(self.queue.dtype)
        # A step of bad numbers is left out, and must not spoil the next ones.
        good = new.isfinite().all(dim=1, keepdim=True)
        new = torch.where(good, new, self.queue[: len(new)])
        self.queue = torch.cat([new, self.queue[: length - len(new)]])


@MODELS.register_module()
class QueueContrast(Queue):
    """Distinguish a query's key from those of earlier images.

    InfoNCE of MoCo (https://arxiv.org/abs/1911.05722, eq. 1): -log(exp(q.k / T) /
    (exp(q.k / T) + sum over the queue of exp(q.k' / T))), of unit vectors. The queue
    holds the newest keys of all processes, is the same on each and in checkpoints.

    Args:
        dim: Channels C.
        length: Keys K in the queue; random ones at first.
        temperature: Divisor T of the cosine similarities.
    """

    def __init__(
        self, dim: Count = 128, length: Count = 65536, temperature: Positive = 0.2
    ) -> None:
        super().__init__(dim, length)
        self.temperature = temperature

    def forward(
        self, queries: Tensor, keys: Tensor, new: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss; in training, queue the new keys afterwards.

        Args:
            queries: Of shape (n, C).
            keys: The positive of each query, of shape (n, C), without gradient.
            new: What later queries are distinguished from, of shape (m, C).

        Returns:
            Scalar, at least float32, log(1 + K) when all keys are alike; and the share
            of queries whose key is nearer than all of the queue.
        """
        queries, keys, new = unit(queries), unit(keys), unit(new)
        positive = (queries * keys).sum(dim=1, keepdim=True)
        negative = products(queries, self.queue.to(queries.dtype))  # (n, K)
        logits = torch.cat([positive, negative], dim=1) / self.temperature
        if self.training:
            self.append(new)
        target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return cross_entropy_and_accuracy(logits, target)
