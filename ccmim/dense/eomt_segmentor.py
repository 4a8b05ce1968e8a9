"""EoMT in mmseg: semantic segmentation with a plain ViT.

Imports mmdet and mmseg, so the package does not import it: segmentation configs name it
in ``custom_imports``.
"""

from typing import Any

from mmengine.config import ConfigDict
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from ccmim.dense.eomt_head import EoMTHead, Predictions
from ccmim.dense.eomt_parts import fit_head
from ccmim.ranges import Count, Index, Part
from ccmim.registry import MODELS


@MODELS.register_module()
class EoMTSemanticHead(EoMTHead, Mask2FormerHead):
    """The same head for classes of pixels: masks weighted by classes, summed.

    Args:
        num_classes: Number of classes.
        ignore_index: Value of pixels without a class.
        **kwargs: Of ``EoMTHead``.
    """

    def __init__(
        self, num_classes: Index, ignore_index: Count = 255, **kwargs: Any
    ) -> None:
        EoMTHead.__init__(
            self, num_things_classes=0, num_stuff_classes=num_classes, **kwargs
        )
        self.out_channels, self.align_corners = num_classes, False
        self.ignore_index = ignore_index


@MODELS.register_module()
class EoMTSegmentor(EncoderDecoder):
    """Plain ViT with queries among its last tokens, as a segmentor of mmseg.

    Args:
        backbone: Config of a ``VisionTransformer``.
        decode_head: Config of an ``EoMTSemanticHead``; its sizes are those of the
            backbone.
        train_cfg: Of the head.
        **kwargs: Of mmseg's ``EncoderDecoder``.

    Raises:
        ValueError: If crops of the test are no whole patches.
    """

    def __init__(
        self,
        backbone: Part,
        decode_head: Part,
        train_cfg: Part | None = None,
        **kwargs: Any,
    ) -> None:
        head = ConfigDict(fit_head(backbone, decode_head), train_cfg=train_cfg)
        crop = (kwargs.get('test_cfg') or {}).get('crop_size') or ()
        if any(side % head.patch_size for side in crop):
            raise ValueError(
                f'test_cfg.crop_size={crop} must be multiples of the patches, of '
                f'{head.patch_size} px'
            )
        super().__init__(
            backbone=backbone, decode_head=head, train_cfg=train_cfg, **kwargs
        )

    def extract_feat(self, inputs: Tensor) -> Predictions:
        """Predict classes and masks of images (B, 3, H, W); see ``EoMTHead.encode``."""
        return self.decode_head.encode(self.backbone, inputs)
