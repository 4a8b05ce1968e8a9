"""Cascade of box heads with one mask head, as Detectron2 defines it."""

from typing import Any

from mmdet.models.roi_heads import CascadeRoIHead
from mmdet.models.utils import empty_instances
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from ccmim.registry import MODELS


@MODELS.register_module()
class OneMaskCascadeRoIHead(CascadeRoIHead):
    """Cascade R-CNN's heads of ViTDet, which was trained in Detectron2.

    mmdet's own cascade has a mask head for each stage and weighs the stages' losses.
    Here the only mask head learns from the proposals of the first stage and is asked
    once, for the final boxes; each loss counts in full (set ``stage_loss_weights`` to
    ones), and what the box heads send back into the maps is divided by their number.

    Departs from Detectron2 in one thing: in testing the stages' logits are averaged, as
    in mmdet, not their probabilities.
    """

    def init_mask_head(self, mask_roi_extractor: Any, mask_head: Any) -> None:
        """Build the mask head.

        Args:
            mask_roi_extractor: Config of what cuts out its maps.
            mask_head: Its config.
        """
        self.share_roi_extractor = False
        self.mask_roi_extractor = MMDET_MODELS.build(mask_roi_extractor)
        self.mask_head = MMDET_MODELS.build(mask_head)

    def mask_loss(
        self,
        stage: int,
        x: tuple[Tensor, ...],
        sampling_results: list[Any],
        batch_gt_instances: list[Any],
    ) -> dict[str, Any]:
        """Compute the loss of the masks, in the first stage only.

        Args:
            stage: Counted from 0.
            x: Maps of the pyramid.
            sampling_results: The sampled proposals of each image.
            batch_gt_instances: The objects of each image.

        Returns:
            Losses by name in ``loss_mask``; none after the first stage.
        """
        if stage > 0:
            return dict(loss_mask={})
        rois = bbox2roi([result.pos_priors for result in sampling_results])
        return self.mask_head.loss_and_target(
            self._mask_forward(stage, x, rois)['mask_preds'],
            sampling_results,
            batch_gt_instances,
            self.train_cfg[stage],
        )

    def predict_mask(
        self,
        x: tuple[Tensor, ...],
        batch_img_metas: list[dict[str, Any]],
        results_list: list[Any],
        rescale: bool = False,
    ) -> list[Any]:
        """Predict the mask of each found box.

        Args:
            x: Maps of the pyramid.
            batch_img_metas: What is known of each image.
            results_list: The boxes found in each, extended by ``masks``.
            rescale: Whether masks have the size of the original image.

        Returns:
            The extended results.
        """
        rois = bbox2roi([result.bboxes for result in results_list])
        if len(rois) == 0:
            return empty_instances(
                batch_img_metas,
                rois.device,
                task_type='mask',
                instance_results=results_list,
                mask_thr_binary=self.test_cfg.mask_thr_binary,
            )
        preds = self._mask_forward(0, x, rois)['mask_preds']
        return self.mask_head.predict_by_feat(
            mask_preds=preds.split([len(result) for result in results_list]),
            results_list=results_list,
            batch_img_metas=batch_img_metas,
            rcnn_test_cfg=self.test_cfg,
            rescale=rescale,
        )

    def _bbox_forward(
        self, stage: int, x: tuple[Tensor, ...], rois: Tensor
    ) -> dict[str, Tensor]:
        extractor = self.bbox_roi_extractor[stage]
        feats = extractor(x[: extractor.num_inputs], rois)
        if feats.requires_grad:
            feats.register_hook(lambda grad: grad / self.num_stages)
        scores, offsets = self.bbox_head[stage](feats)
        return dict(cls_score=scores, bbox_pred=offsets, bbox_feats=feats)

    def _mask_forward(
        self, stage: int, x: tuple[Tensor, ...], rois: Tensor
    ) -> dict[str, Tensor]:
        feats = self.mask_roi_extractor(x[: self.mask_roi_extractor.num_inputs], rois)
        return dict(mask_preds=self.mask_head(feats))
