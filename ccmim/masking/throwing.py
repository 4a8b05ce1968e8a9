"""Masks that leave some patches out of everything.

B batch, N patches, V visible, M masked, T thrown.
"""

import torch
from torch import Tensor, nn

from ccmim.masking.samplers import gumbel_order
from ccmim.masking.split import TokenSplit, count_visible, whole
from ccmim.ranges import RatioBelowOne
from ccmim.registry import MODELS


@MODELS.register_module()
class ThrowSampler(nn.Module):
    """Mask what is drawn first, throw away what comes next, show the least important.

    AMT (https://arxiv.org/abs/2211.15362): patches are drawn without replacement with
    probabilities proportional to their scores (``torch.multinomial``, here by the
    Gumbel trick). Thrown ones are neither encoded nor predicted. Of 196 patches at
    ratios of 0.45 and 0.4, 89 are masked and 29 shown, where the published code rounds
    to 88 and 30.

    Args:
        throw_ratio: Share of all patches that are thrown away, in [0, 1).
    """

    def __init__(self, throw_ratio: RatioBelowOne = 0.4) -> None:
        super().__init__()
        self.throw_ratio = throw_ratio

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw masked and visible patches from scores (B, N), V + T + M = N.

        Raises:
            ValueError: If no patch would be visible.
        """
        num_patches = scores.shape[1]
        num_rest = count_visible(num_patches, mask_ratio)  # V + T
        num_visible = whole(num_patches * (1 - mask_ratio - self.throw_ratio))
        if num_visible < 1:
            raise ValueError(
                f'throw_ratio={self.throw_ratio} beside mask_ratio={mask_ratio} leaves '
                'no patch visible: choose a smaller one'
            )
        order = gumbel_order(scores, torch.rand_like(scores), temperature=1.0)
        masked = order[:, num_rest:]
        mask = torch.zeros_like(order, dtype=torch.bool).scatter_(1, masked, True)
        return TokenSplit(order[:, :num_visible], masked, mask)
