"""Federated loss, for data where not every class is annotated in every image.

R boxes, C classes; background has the number C.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import MinLen
from torch import Tensor, nn

from ccmim.ranges import Count, NonNegative
from ccmim.registry import MODELS


@MODELS.register_module()
class FederatedLoss(nn.Module):
    """Sigmoid cross-entropy over the classes of a batch and some drawn ones.

    LVIS names for each image only some classes that are not in it, so a box of an
    unnamed class must not be punished. The federated loss of
    https://arxiv.org/abs/2103.07461, with which ViTDet is trained on LVIS: per step a
    set of classes is judged, those of its boxes and others, drawn with a probability
    that grows with the number of their images, until there are ``num_judged``.

    Stands in mmdet's box heads as ``loss_cls``.

    Args:
        frequencies: Images of each class in the training set, or LVIS's annotation
            file, which lists them and is read in the first step; None to draw all
            classes alike.
        num_judged: Least number of classes that are judged in a step.
        power: Exponent of the frequencies; 0.5 in ViTDet.
        loss_weight: Factor of the loss.
    """

    # What mmdet's box heads ask of a loss: how many scores it wants, what they mean.
    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True
    use_sigmoid = True

    def __init__(
        self,
        frequencies: Annotated[Sequence[Count], MinLen(1)] | str | None = None,
        num_judged: Count = 50,
        power: NonNegative = 0.5,
        loss_weight: NonNegative = 1.0,
    ) -> None:
        super().__init__()
        self.frequencies, self.power = frequencies, power
        self.num_judged, self.loss_weight = num_judged, loss_weight

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            cls_score: Logits (R, C).
            label: Classes (R,), C for background.
            weight: Of each box, (R,); ones when None.
            avg_factor: What the sum is divided by; R when None.
            reduction_override: None; others are not known here.

        Returns:
            A scalar.

        Raises:
            ValueError: If a reduction is asked for.
        """
        if reduction_override is not None:
            raise ValueError(f'reduction_override={reduction_override!r} is unknown')
        classes = cls_score.shape[1]
        wanted = F.one_hot(label, classes + 1)[:, :-1].to(cls_score)
        values = F.binary_cross_entropy_with_logits(cls_score, wanted, reduction='none')
        values = values[:, self.judged(label, classes)].sum(1)
        if weight is not None:
            values = values * weight
        return self.loss_weight * values.sum() / (avg_factor or len(values))

    def judged(self, label: Tensor, classes: int) -> Tensor:
        """Choose the classes that this step judges.

        Args:
            label: Classes of the boxes, (R,).
            classes: Number C of classes.

        Returns:
            Their numbers, those of the boxes first.
        """
        present = label.unique()
        missing = self.num_judged - len(present)  # background counts, as published
        present = present[present < classes]
        odds = torch.ones(classes) if self._odds is None else self._odds
        odds = odds.to(label.device).index_fill(0, present, 0)
        missing = min(missing, int((odds > 0).sum()))
        if missing <= 0:
            return present
        return torch.cat([present, odds.multinomial(missing)])

    @cached_property
    def _odds(self) -> Tensor | None:
        counts = self.frequencies
        if isinstance(counts, str):
            categories = json.loads(Path(counts).read_text())['categories']
            categories.sort(key=lambda category: category['id'])
            counts = [category['image_count'] for category in categories]
        return None if counts is None else torch.tensor(counts).float() ** self.power

    def get_cls_channels(self, num_classes: int) -> int:
        """Return the number of logits: one a class, none for background."""
        return num_classes

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Turn logits (R, C) into scores (R, C + 1), the last of background."""
        scores = cls_score.sigmoid()
        return torch.cat([scores, scores.new_zeros(len(scores), 1)], dim=1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the accuracy in percent among boxes (R,) that hold an object."""
        objects = labels < cls_score.shape[1]
        hits = cls_score[objects].argmax(1) == labels[objects]
        return dict(acc=100 * hits.float().mean() if len(hits) else hits.sum().float())
