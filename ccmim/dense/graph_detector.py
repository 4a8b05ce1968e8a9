"""Detectors of mmdet as a graph: boxes, scores, labels and masks of one image.

mmdet's own code asks how many boxes there are and branches on it, which a graph
cannot. Here is the same arithmetic on its modules without such questions: what does not
count is given a score below all others.

Imports mmdet, so the package does not import it.

N objects, R proposals, C classes, H W image.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from ccmim.dense.cascade_head import OneMaskCascadeRoIHead
from ccmim.dense.context_roi_head import ContextRoIHead
from ccmim.dense.eomt import EoMT
from ccmim.dense.graph_boxes import (
    are_large,
    best_of,
    boxes_around,
    cut_out,
    first_of,
    paste,
    picked,
    priors_of,
    rows_of,
    suppress,
)

OUTPUTS = ('boxes', 'scores', 'labels', 'masks')
Objects = tuple[Tensor, ...]  # as OUTPUTS names them; without masks three
_NMS_KEYS = {'type', 'iou_threshold', 'class_agnostic', 'split_thr'}
_NONE = -1.0  # the score of what does not count


class Detector(nn.Module):
    """What mmdet predicts for an image, as tensors.

    Args:
        model: Mask R-CNN, Faster R-CNN, a cascade with one mask head, a detector of one
            stage such as FCOS, or an EoMT of objects.
        size: Height and width of the image.

    Attributes:
        outputs: Names of what it gives.

    Raises:
        ValueError: If it has a part whose arithmetic is not known here.
    """

    def __init__(self, model: nn.Module, size: Sequence[int]) -> None:
        super().__init__()
        self.model, self.size = model, tuple(size)
        self._find, has_masks = self._way()
        self.outputs = OUTPUTS if has_masks else OUTPUTS[:3]

    def forward(self, images: Tensor) -> Objects:
        """Find objects in a normalized image (1, 3, H, W).

        Returns:
            Corners x1, y1, x2, y2 in pixels (N, 4), scores (N,), numbers of classes
            (N,) and, where it has masks, those (N, H, W), 0 or 1 as uint8.
        """
        return self._find(images)

    def predict(self, images: Tensor) -> Objects:
        """Give the same by mmdet's own way to it."""
        shapes = ('img_shape', 'ori_shape', 'batch_input_shape')
        known = dict.fromkeys(shapes, self.size) | {'scale_factor': (1.0, 1.0)}
        sample = DetDataSample(metainfo=known)
        instances = self.model.predict(images, [sample])[0].pred_instances
        names = ('bboxes', 'scores', 'labels', 'masks')
        return tuple(instances[name] for name in names[: len(self.outputs)])

    def _way(self) -> tuple[Callable[[Tensor], Objects], bool]:
        model: Any = self.model
        if isinstance(model, EoMT):
            return self._of_queries, True
        if isinstance(model, TwoStageDetector):
            head = model.roi_head
            roi_heads = (StandardRoIHead, ContextRoIHead, OneMaskCascadeRoIHead)
            _require(type(head) in roi_heads, 'roi_head', head)
            _require_same(model.rpn_head, RPNHead)
            _require(model.rpn_head.use_sigmoid_cls, 'loss', model.rpn_head.loss_cls)
            _require_nms(model.test_cfg.rpn.nms)
            _require_nms(model.test_cfg.rcnn.nms)
            for layer in model.roi_head.modules():
                pools = getattr(layer, 'pool_mode', 'avg')
                _require(pools == 'avg', 'roi_layer with pool_mode', pools)
            return self._of_proposals, bool(head.with_mask)
        _require(isinstance(model, SingleStageDetector), 'detector', model)
        _require_same(model.bbox_head, BaseDenseHead)
        _require_nms(model.test_cfg.nms)
        return self._of_points, False

    def _of_proposals(self, images: Tensor) -> Objects:
        """Mask R-CNN and its kin."""
        head, test = self.model.roi_head, self.model.test_cfg.rcnn
        maps = self.model.extract_feat(images)
        rois, counts = self._proposals(maps)
        cascaded = isinstance(head.bbox_head, nn.ModuleList)
        heads = head.bbox_head if cascaded else [head.bbox_head]
        extractors = head.bbox_roi_extractor if cascaded else [head.bbox_roi_extractor]
        totals: Any = 0
        for i, (stage, extractor) in enumerate(zip(heads, extractors, strict=True)):
            logits, offsets = stage(cut_out(extractor, maps, rois))
            totals = totals + logits
            if i < len(heads) - 1:
                probs = logits
                if stage.custom_activation:
                    probs = stage.loss_cls.get_activation(logits)
                best = probs[:, :-1].argmax(1)
                offsets = offsets.unflatten(1, (-1, 4))
                if not stage.reg_class_agnostic:
                    offsets = picked(offsets, best)
                rois = self._decode(stage.bbox_coder, rois, offsets.flatten(1))
        logits = totals / len(heads)
        if stage.custom_cls_channels:
            probs = stage.loss_cls.get_activation(logits)
        else:
            probs = logits.softmax(-1)
        probs = torch.where(counts[:, None], probs[:, :-1], _NONE)  # (R, C)
        offsets = offsets.unflatten(1, (-1, 4))  # (R, C or 1, 4)
        repeated = rois[:, None].expand_as(offsets).flatten(0, 1)
        boxes = self._decode(stage.bbox_coder, repeated, offsets.flatten(0, 1))
        boxes = boxes.view_as(offsets).expand(-1, probs.shape[1], -1)
        indices, labels = (probs > test.score_thr).nonzero().unbind(1)
        boxes, scores = boxes[indices, labels], probs[indices, labels]
        kept = first_of(suppress(boxes, scores, labels, test.nms), test.max_per_img)
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        if not head.with_mask:
            return boxes, scores, labels
        masks = head.mask_head(cut_out(head.mask_roi_extractor, maps, boxes))
        agnostic = head.mask_head.class_agnostic
        masks = masks[:, 0] if agnostic else picked(masks, labels)
        drawn = paste(masks.sigmoid(), boxes, self.size) >= test.mask_thr_binary
        return boxes, scores, labels, drawn.to(torch.uint8)

    def _proposals(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Give as many boxes (R, 4) as there may be, and which of them count (R,)."""
        head, test = self.model.rpn_head, self.model.test_cfg.rpn
        scores, offsets, anchors, levels = [], [], [], []
        logits, moves = head(maps)
        for level, priors in enumerate(priors_of(head, logits)):
            own, best = best_of(rows_of(logits[level], 1).sigmoid(), test.nms_pre)
            scores.append(own)
            offsets.append(rows_of(moves[level], 4)[best])
            anchors.append(priors[best])
            levels.append(torch.full_like(best, level))
        score = torch.cat(scores)
        boxes = self._decode(head.bbox_coder, torch.cat(anchors), torch.cat(offsets))
        score = torch.where(are_large(boxes, test), score, _NONE)
        kept = suppress(boxes, score, torch.cat(levels), test.nms)
        counts = torch.zeros_like(score).index_fill(0, kept, 1.0) > 0
        score = torch.where(counts, score, _NONE)
        score, best = score.topk(min(test.max_per_img, len(score)))
        return boxes[best], score > _NONE

    def _of_points(self, images: Tensor) -> Objects:
        """FCOS and its kin."""
        head, test = self.model.bbox_head, self.model.test_cfg
        outputs = head(self.model.extract_feat(images))
        logits, moves = outputs[:2]
        parts: list[list[Tensor]] = [[], [], [], [], []]
        for level, priors in enumerate(priors_of(head, logits)):
            own = rows_of(logits[level], head.cls_out_channels)
            own = own.sigmoid() if head.use_sigmoid_cls else own.softmax(-1)[:, :-1]
            count = own.shape[1]
            score, best = best_of(own, test.nms_pre)
            indices, labels = best // count, best % count
            factor = torch.ones_like(score)
            if len(outputs) > 2:
                factor = rows_of(outputs[2][level], 1)[indices, 0].sigmoid()
            offsets = rows_of(moves[level], head.bbox_coder.encode_size)[indices]
            for part, value in zip(
                parts, (score, labels, factor, priors[indices], offsets), strict=True
            ):
                part.append(value)
        score, labels, factor, priors, offsets = map(torch.cat, parts)
        boxes = self._decode(head.bbox_coder, priors, offsets)
        counts = (score > test.get('score_thr', 0)) & are_large(boxes, test)
        own = counts.nonzero().squeeze(1)
        boxes, labels, scores = boxes[own], labels[own], (score * factor)[own]
        kept = first_of(suppress(boxes, scores, labels, test.nms), test.max_per_img)
        return boxes[kept], scores[kept], labels[kept]

    def _of_queries(self, images: Tensor) -> Objects:
        """EoMT: each query is an object."""
        fusion = self.model.panoptic_fusion_head
        logits, masks = (part[-1][0] for part in self.model.extract_feat(images))
        probs = logits.softmax(-1)[:, :-1]  # (Q, C)
        scores, best = probs.flatten().topk(fusion.test_cfg.max_per_image)
        masks = F.interpolate(masks[None], self.size, mode='bilinear')[0]
        masks = masks[best // probs.shape[1]]
        drawn = masks > 0
        pixels = drawn.float().flatten(1)
        sure = (masks.sigmoid().flatten(1) * pixels).sum(1) / (pixels.sum(1) + 1e-6)
        labels = best % probs.shape[1]
        return boxes_around(drawn), scores * sure, labels, drawn.to(torch.uint8)

    def _decode(self, coder: Any, priors: Tensor, offsets: Tensor) -> Tensor:
        boxes = coder.decode(priors, offsets)
        if not coder.clip_border:
            return boxes
        height, width = self.size
        return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height] * 2))


def _require(known: bool, what: str, given: object) -> None:
    if not known:
        name = given if isinstance(given, str) else type(given).__name__
        raise ValueError(
            f'the {what} {name} is not known to the export of whole detectors: leave '
            'out --whole for the backbone'
        )


def _require_same(head: Any, known: type) -> None:
    """Refuse a head that decodes what it predicts in another way than its base."""
    same = all(
        getattr(type(head), name) is getattr(known, name)
        for name in ('predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
    )
    _require(same, 'head', head)
    _require(not hasattr(head.loss_cls, 'custom_cls_channels'), 'loss', head.loss_cls)


def _require_nms(nms: Mapping[str, Any]) -> None:
    _require(nms.get('type', 'nms') == 'nms', 'suppression', str(nms.get('type')))
    _require(not set(nms) - _NMS_KEYS, 'suppression with', str(sorted(set(nms))))
