"""EoMT in mmdet: instance and panoptic segmentation with a plain ViT."""

from typing import Any

from mmdet.models.detectors import MaskFormer
from mmengine.config import ConfigDict
from torch import Tensor

from ccmim.dense.eomt_head import Predictions
from ccmim.dense.eomt_parts import fit_head
from ccmim.ranges import Part
from ccmim.registry import MODELS


@MODELS.register_module()
class EoMT(MaskFormer):
    """Plain ViT with queries among its last tokens, and nothing after it.

    mmdet's ``MaskFormer`` with its fusion of masks into objects and regions; see
    ``EoMTHead``.

    Args:
        backbone: Config of a ``VisionTransformer``.
        panoptic_head: Config of an ``EoMTHead``; its sizes are those of the backbone.
        train_cfg: Of the head.
        test_cfg: Of mmdet's ``MaskFormerFusionHead``.
        **kwargs: Of mmdet's ``MaskFormer``.
    """

    def __init__(
        self,
        backbone: Part,
        panoptic_head: Part,
        train_cfg: Part | None = None,
        test_cfg: Part | None = None,
        **kwargs: Any,
    ) -> None:
        head = ConfigDict(fit_head(backbone, panoptic_head))
        test = ConfigDict(test_cfg or {})
        names = dict(num_things_classes=80, num_stuff_classes=0)
        numbers = {k: head.get(k, usual) for k, usual in names.items()}
        # topk takes no more than there are.
        most = head.get('num_queries', 200) * sum(numbers.values())
        test.max_per_image = min(test.get('max_per_image', 100), most)
        super().__init__(
            backbone=backbone,
            panoptic_head=head,
            panoptic_fusion_head=ConfigDict(type='MaskFormerFusionHead', **numbers),
            train_cfg=train_cfg and ConfigDict(train_cfg),
            test_cfg=test,
            **kwargs,
        )

    def extract_feat(self, batch_inputs: Tensor) -> Predictions:
        """Predict classes and masks of images (B, 3, H, W); see ``EoMTHead.encode``."""
        return self.panoptic_head.encode(self.backbone, batch_inputs)

    def add_pred_to_datasample(
        self, data_samples: list[Any], results_list: list[dict[str, Any]]
    ) -> list[Any]:
        """Add predictions; of segments also which number stands for none.

        Args:
            data_samples: Of the images.
            results_list: Of mmdet's fusion of masks.

        Returns:
            The samples.
        """
        for results in results_list:
            if 'pan_results' in results:
                none = dict(ignore_index=self.num_classes)
                results['pan_results'].set_metainfo(none)
        return super().add_pred_to_datasample(data_samples, results_list)
