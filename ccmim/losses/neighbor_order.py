"""Patches have the same neighbors, in the same order, for student and teacher.

B batch, P patches of an image, C channels, K patches in the queue, R references.
"""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from ccmim.losses.cosine import products, unit
from ccmim.losses.gather import num_processes
from ccmim.losses.queue_contrast import Queue
from ccmim.losses.soft_sorting import SortingNetwork, comparators, soft_permutation
from ccmim.ranges import Count, Positive
from ccmim.registry import MODELS


@MODELS.register_module()
class NeighborOrder(Queue):
    """Order patches of other photos by their likeness, as the teacher does.

    NeCo (https://arxiv.org/abs/2408.11054, eq. 3 to 6): for each image references are
    drawn from the teacher's patches of earlier steps. The cosines of a patch with them
    are sorted by a differentiable network, student's and teacher's; of the two soft
    permutations the cross entropy is the loss, mean over patches and references.

    Args:
        dim: Channels C.
        length: Patches K in the queue; random ones at first.
        num_references: Patches R that an image is compared with.
        num_new: Patches of an image that enter the queue.
        steepness: How hard the student's order is.
        teacher_steepness: How hard the teacher's is; the student's when None.
        sorter: The network that sorts.

    Raises:
        ValueError: If the queue holds fewer patches than are drawn from it.
    """

    filled: Tensor  # number of patches that have entered the queue, at most K

    def __init__(
        self,
        dim: Count = 256,
        length: Count = 8192,
        num_references: Annotated[int, Ge(2)] = 49,
        num_new: Count = 10,
        steepness: Positive = 100.0,
        teacher_steepness: Positive | None = None,
        sorter: SortingNetwork = 'bitonic',
    ) -> None:
        super().__init__(dim, length)
        if num_references > length:
            raise ValueError(
                f'num_references={num_references} are more than the length={length} of '
                'the queue that they are drawn from: give a longer one, or take fewer'
            )
        self.num_references = num_references
        self.num_new = num_new
        self.per_photo = 2 * num_new  # of two large crops
        self.steepness = steepness
        self.teacher_steepness = teacher_steepness or steepness
        self.register_buffer('filled', torch.tensor(0))
        partners, signs = comparators(num_references, sorter)
        self.register_buffer('partners', partners, persistent=False)
        self.register_buffer('signs', signs, persistent=False)

    def remember(self, patches: Tensor) -> None:
        """Put some patches of each image (B, P, C) into the queue, in training."""
        if not self.training:
            return
        ids = torch.rand(patches.shape[:2], device=patches.device).argsort(dim=1)
        ids = ids[:, : self.num_new, None].expand(-1, -1, patches.shape[2])
        new = unit(patches).gather(1, ids).flatten(0, 1)
        self.append(new)
        total = self.filled + len(new) * num_processes()
        self.filled = total.clamp(max=len(self.queue))

    def draw(self, count: int) -> Tensor:
        """Draw references for each of some images, (count, R, C), all unlike.

        What never was a patch comes last, so that it counts in the first steps alone.
        """
        shape = count, len(self.queue)
        order = torch.rand(shape, device=self.queue.device)
        empty = torch.arange(shape[1], device=order.device) >= self.filled
        ids = (order + empty).topk(self.num_references, dim=1, largest=False).indices
        return self.queue[ids]

    def forward(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Compare patches of the student with the teacher's of the same places.

        Args:
            ours: Of shape (B, P, C).
            theirs: Of shape (B, P, C), without gradient.

        Returns:
            Scalar, at least float32.
        """
        references = self.draw(len(ours))
        target = self._order(theirs, references, self.teacher_steepness)
        pred = self._order(ours, references, self.steepness)
        # No swap is ever whole, but shares of many layers can round to 0.
        tiny = torch.finfo(pred.dtype).tiny
        return -(target * pred.clamp(min=tiny).log()).sum(dim=2).mean()

    def _order(self, patches: Tensor, references: Tensor, steepness: float) -> Tensor:
        units = unit(patches)
        cosines = products(units, references.to(units.dtype)).flatten(0, 1)
        return soft_permutation(cosines, self.partners, self.signs, steepness)
