"""A queue of the latest vectors of all processes.

m new vectors of a process, K vectors in the queue, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.losses.gather import gather_constant


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
