"""Distillation of a teacher's similarities between patches and between photos.

B batch, N patches, C channels of the teacher, K vectors in the queue.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.losses.cosine import products, unit
from ccmim.losses.queue_contrast import Queue
from ccmim.ranges import Count, Positive
from ccmim.registry import MODELS


@MODELS.register_module()
class PatchRelations(nn.Module):
    """Relate each patch to the patches of its photo as the teacher does.

    Softmax over the cosines of a patch with all patches of the photo, divided by T, of
    the teacher and of the student: their Kullback-Leibler divergence, mean over the
    patches of the batch. A Gram anchor with a softmax.

    Args:
        temperature: T.
    """

    def __init__(self, temperature: Positive = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Compare patches of the student with those of the teacher, both (B, N, C)."""
        ours, theirs = (
            products(x, x) / self.temperature for x in (unit(ours), unit(theirs))
        )
        return divergence(ours.flatten(0, 1), theirs.flatten(0, 1))


@MODELS.register_module()
class QueueRelations(Queue):
    """Relate each photo to earlier photos of the teacher's as the teacher does.

    As ``PatchRelations``, of the average of a photo's patches with those that the
    teacher had of the photos in the queue, which begins with those of this step.

    Args:
        dim: Channels C.
        length: Photos K in the queue, half of the data set or less; random vectors at
            first.
        temperature: T.
    """

    def __init__(
        self, dim: Count = 768, length: Count = 8192, temperature: Positive = 0.07
    ) -> None:
        super().__init__(dim, length)
        self.temperature = temperature

    def forward(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Compare patches (B, N, C); in training, queue the teacher's first."""
        wide = torch.promote_types(theirs.dtype, torch.float32)
        ours, theirs = (unit(x.to(wide).mean(1)) for x in (ours, theirs))
        if self.training:
            self.append(theirs)
        known = self.queue.to(ours.dtype)
        return divergence(
            *(products(x, known) / self.temperature for x in (ours, theirs))
        )


def divergence(ours: Tensor, theirs: Tensor) -> Tensor:
    """Compute the KL divergence of our softmax from theirs, mean over rows.

    Args:
        ours: Logits (n, K).
        theirs: Logits (n, K), without gradient.

    Returns:
        Scalar, at least 0.
    """
    logs = [F.log_softmax(x, dim=1) for x in (ours, theirs)]
    return F.kl_div(*logs, reduction='batchmean', log_target=True)
