"""mmdet heads with ViTDet's initialization and computation.

Imports mmdet, so the package does not import it: detection configs name it in
``custom_imports``.
"""

from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import Tensor, nn

from ccmim.dense.patch_deconv import deconvolve
from ccmim.registry import MODELS


@MODELS.register_module()
class SmallInitMaskHead(FCNMaskHead):
    """FCN mask head whose logits start near zero.

    mmdet draws the last layer with a deviation of sqrt(2 / classes): 0.16 for COCO, but
    1.4 for one class, which AdamW takes thousands of steps to undo. Detectron2, in
    which ViTDet was trained, draws it with 0.001.
    """

    def init_weights(self) -> None:
        """Draw the weights."""
        super().init_weights()
        nn.init.normal_(self.conv_logits.weight, std=0.001)
        nn.init.zeros_(self.conv_logits.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Predict masks (K, classes or 1, h, w) of RoIs (K, C, h / 2, w / 2)."""
        if self.upsample_method != 'deconv':
            return super().forward(x)
        for conv in self.convs:
            x = conv(x)
        return self.conv_logits(self.relu(deconvolve(self.upsample, x)))


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
