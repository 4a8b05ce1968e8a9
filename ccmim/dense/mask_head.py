"""mmdet's mask head with the initialization of ViTDet's.

Imports mmdet, so the room does not import it: detection configs name it in
``custom_imports``.
"""

from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import nn

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
