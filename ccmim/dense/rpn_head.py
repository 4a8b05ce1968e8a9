"""mmdet's region proposal network, safe under bfloat16.

Imports mmdet, so the room does not import it: detection configs name it in
``custom_imports``.
"""

from mmdet.models.dense_heads import RPNHead
from torch import Tensor

from ccmim.registry import MODELS


@MODELS.register_module()
class Float32RPNHead(RPNHead):
    """RPN head that hands on float32 scores and offsets under autocast.

    mmdet makes anchors in the dtype of the scores. In bfloat16 a corner near 1000 px
    would be rounded to a multiple of 4 px, and mmcv's NMS would refuse the boxes.
    """

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Score the anchors of one pyramid level.

        Args:
            x: Map of shape (B, C, H, W).

        Returns:
            Logits of shape (B, A, H, W) and offsets of shape (B, 4 * A, H, W), where A
            is the number of anchors at a place.
        """
        scores, offsets = super().forward_single(x)
        return scores.float(), offsets.float()
