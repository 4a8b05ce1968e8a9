"""InfoNCE against a queue of earlier keys.

n pairs, m new keys of a process, K keys in the queue, C channels of the projection.
"""

import torch
from torch import Tensor

from ccmim.losses.cosine import cross_entropy_and_accuracy, products, unit
from ccmim.losses.queue import Queue
from ccmim.ranges import Count, Positive
from ccmim.registry import MODELS


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
