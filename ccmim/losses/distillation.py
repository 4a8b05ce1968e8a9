"""Regression of a teacher's features at masked patches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.masking import TokenSplit, take
from ccmim.ranges import Positive
from ccmim.registry import MODELS
from ccmim.teachers import normalize_features


@MODELS.register_module()
class FeatureDistillation(nn.Module):
    """Smooth L1 between predictions and a teacher's normalized features.

    0.5 d^2 / beta where the difference d is smaller than beta, |d| - 0.5 beta beyond.
    Visible patches do not count.

    Args:
        beta: Where the parabola becomes a line.
    """

    def __init__(self, beta: Positive = 1.0) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, pred: Tensor, features: Tensor, split: TokenSplit) -> Tensor:
        """Compute the error.

        Args:
            pred: Predicted features in the order of ``ids_masked``, of shape (B, M, C).
            features: The teacher's features of all patches, of shape (B, N, C).
            split: Which patches were masked.

        Returns:
            Scalar, at least float32.

        Raises:
            ValueError: If the teacher has another number of patches.
        """
        if features.shape[1] != split.mask.shape[1]:
            raise ValueError(
                f'the teacher sees {features.shape[1]} patches and the network '
                f'{split.mask.shape[1]}: give both images of one size'
            )
        wide = torch.promote_types(features.dtype, torch.float32)
        target = normalize_features(take(features.to(wide), split.ids_masked))
        return F.smooth_l1_loss(pred.to(wide), target, beta=self.beta)
