"""Order of the masked patches by how hard they are to predict.

B batch, M masked.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.registry import MODELS


@MODELS.register_module()
class HardnessRanking(nn.Module):
    """Ask of each two masked patches of an image which one had the greater error.

    HPM (https://arxiv.org/abs/2304.05919): with predictions h, the mean over all pairs
    of -log sigmoid(h_harder - h_easier). Pairs of equal errors do not count.
    """

    def forward(self, hardness: Tensor, errors: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            hardness: Predictions of any range, of shape (B, M).
            errors: Of the reconstruction, of shape (B, M); constants.

        Returns:
            Scalar, at least float32; log 2 when all predictions are alike.
        """
        hardness = hardness.to(torch.promote_types(hardness.dtype, torch.float32))
        margins = hardness[:, :, None] - hardness[:, None, :]  # (B, M, M)
        harder = errors.detach()[:, :, None] > errors.detach()[:, None, :]
        total = (F.softplus(-margins) * harder).sum()
        return total / harder.sum().clamp(min=1)
