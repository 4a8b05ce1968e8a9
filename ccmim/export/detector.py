"""Detectors of mmdet as a graph: boxes, scores, labels and masks of one image.

mmdet's own code asks how many boxes there are and goes on accordingly, which a graph
cannot. Here is the same arithmetic on its modules without such questions: what does not
count is given a score below all others.

N objects, R proposals, C classes, H W image.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

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

    def _way(self) -> tuple[Callable[[Tensor], Objects], bool]:
        from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
        from mmdet.models.dense_heads.rpn_head import RPNHead
        from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
        from mmdet.models.roi_heads import StandardRoIHead

        from ccmim.dense.cascade_head import OneMaskCascadeRoIHead
        from ccmim.dense.context_roi_head import ContextRoIHead
        from ccmim.dense.eomt import EoMT

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
        return self._of_places, False

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
            logits, offsets = stage(_cut(extractor, maps, rois))
            totals = totals + logits
            if i < len(heads) - 1:
                shares = logits
                if stage.custom_activation:
                    shares = stage.loss_cls.get_activation(logits)
                best = shares[:, :-1].argmax(1)
                offsets = offsets.unflatten(1, (-1, 4))
                if not stage.reg_class_agnostic:
                    offsets = _picked(offsets, best)
                rois = self._decode(stage.bbox_coder, rois, offsets.flatten(1))
        logits = totals / len(heads)
        if stage.custom_cls_channels:
            shares = stage.loss_cls.get_activation(logits)
        else:
            shares = logits.softmax(-1)
        shares = torch.where(counts[:, None], shares[:, :-1], _NONE)  # (R, C)
        offsets = offsets.unflatten(1, (-1, 4))  # (R, C or 1, 4)
        found = rois[:, None].expand_as(offsets).flatten(0, 1)
        boxes = self._decode(stage.bbox_coder, found, offsets.flatten(0, 1))
        boxes = boxes.view_as(offsets).expand(-1, shares.shape[1], -1)
        places, labels = (shares > test.score_thr).nonzero().unbind(1)
        boxes, scores = boxes[places, labels], shares[places, labels]
        kept = _first(_suppress(boxes, scores, labels, test.nms), test.max_per_img)
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        if not head.with_mask:
            return boxes, scores, labels
        masks = head.mask_head(_cut(head.mask_roi_extractor, maps, boxes))
        agnostic = head.mask_head.class_agnostic
        masks = masks[:, 0] if agnostic else _picked(masks, labels)
        drawn = _paste(masks.sigmoid(), boxes, self.size) >= test.mask_thr_binary
        return boxes, scores, labels, drawn.to(torch.uint8)

    def _proposals(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Give as many boxes (R, 4) as there may be, and which of them count (R,)."""
        head, test = self.model.rpn_head, self.model.test_cfg.rpn
        scores, offsets, anchors, levels = [], [], [], []
        logits, moves = head(maps)
        for level, priors in enumerate(_priors(head, logits)):
            own, best = _best(_rows(logits[level], 1).sigmoid(), test.nms_pre)
            scores.append(own)
            offsets.append(_rows(moves[level], 4)[best])
            anchors.append(priors[best])
            levels.append(torch.full_like(best, level))
        score = torch.cat(scores)
        boxes = self._decode(head.bbox_coder, torch.cat(anchors), torch.cat(offsets))
        score = torch.where(_is_large(boxes, test), score, _NONE)
        kept = _suppress(boxes, score, torch.cat(levels), test.nms)
        counts = torch.zeros_like(score).index_fill(0, kept, 1.0) > 0
        score = torch.where(counts, score, _NONE)
        score, best = score.topk(min(test.max_per_img, len(score)))
        return boxes[best], score > _NONE

    def _of_places(self, images: Tensor) -> Objects:
        """FCOS and its kin."""
        head, test = self.model.bbox_head, self.model.test_cfg
        found = head(self.model.extract_feat(images))
        logits, moves = found[:2]
        parts: list[list[Tensor]] = [[], [], [], [], []]
        for level, priors in enumerate(_priors(head, logits)):
            own = _rows(logits[level], head.cls_out_channels)
            own = own.sigmoid() if head.use_sigmoid_cls else own.softmax(-1)[:, :-1]
            count = own.shape[1]
            score, best = _best(own, test.nms_pre)
            places, labels = best // count, best % count
            factor = torch.ones_like(score)
            if len(found) > 2:
                factor = _rows(found[2][level], 1)[places, 0].sigmoid()
            offsets = _rows(moves[level], head.bbox_coder.encode_size)[places]
            for part, value in zip(
                parts, (score, labels, factor, priors[places], offsets), strict=True
            ):
                part.append(value)
        score, labels, factor, priors, offsets = map(torch.cat, parts)
        boxes = self._decode(head.bbox_coder, priors, offsets)
        counts = (score > test.get('score_thr', 0)) & _is_large(boxes, test)
        own = counts.nonzero().squeeze(1)
        boxes, labels, scores = boxes[own], labels[own], (score * factor)[own]
        kept = _first(_suppress(boxes, scores, labels, test.nms), test.max_per_img)
        return boxes[kept], scores[kept], labels[kept]

    def _of_queries(self, images: Tensor) -> Objects:
        """EoMT: each query is an object."""
        fusion = self.model.panoptic_fusion_head
        logits, masks = (part[-1][0] for part in self.model.extract_feat(images))
        shares = logits.softmax(-1)[:, :-1]  # (Q, C)
        scores, best = shares.flatten().topk(fusion.test_cfg.max_per_image)
        masks = F.interpolate(masks[None], self.size, mode='bilinear')[0]
        masks = masks[best // shares.shape[1]]
        drawn = masks > 0
        pixels = drawn.float().flatten(1)
        sure = (masks.sigmoid().flatten(1) * pixels).sum(1) / (pixels.sum(1) + 1e-6)
        labels = best % shares.shape[1]
        return _around(drawn), scores * sure, labels, drawn.to(torch.uint8)

    def _decode(self, coder: Any, priors: Tensor, offsets: Tensor) -> Tensor:
        boxes = coder.decode(priors, offsets)
        if not coder.clip_border:
            return boxes
        height, width = self.size
        return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height] * 2))


def _rows(maps: Tensor, count: int) -> Tensor:
    """Bring the map (1, A * count, h, w) of an image to rows (h * w * A, count)."""
    return maps[0].permute(1, 2, 0).reshape(-1, count)


def _best(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Give the largest scores, and where they stand among all."""
    scores = scores.flatten()
    return scores.topk(min(most, len(scores)) if most > 0 else len(scores))


def _priors(head: Any, maps: Sequence[Tensor]) -> list[Tensor]:
    sizes = [each.shape[-2:] for each in maps]
    first = maps[0]
    return head.prior_generator.grid_priors(
        sizes, dtype=first.dtype, device=first.device
    )


def _is_large(boxes: Tensor, test: Mapping[str, Any]) -> Tensor:
    least = test.get('min_bbox_size', -1)
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides > least).all(1) if least >= 0 else torch.ones_like(sides[:, 0]) > 0


def _suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, nms: Mapping[str, Any]
) -> Tensor:
    """Give the numbers of the boxes that no surer one of their group covers."""
    if not nms.get('class_agnostic', False):
        # As far apart as in mmcv, so that near ties are decided alike.
        far = F.pad(boxes.flatten(), (0, 1)).max() + 1
        boxes = boxes + (groups * far)[:, None]
    return torchvision.ops.nms(boxes, scores, nms['iou_threshold'])


def _first(kept: Tensor, most: int) -> Tensor:
    """Take the first of an unknown number, which a graph does not slice."""
    places = torch.arange(kept.shape[0], device=kept.device)
    return kept[(places < most).nonzero()[:, 0]]


def _picked(values: Tensor, labels: Tensor) -> Tensor:
    """Take of values (n, C, ...) those of the class of each row: (n, ...)."""
    return values[torch.arange(labels.shape[0], device=labels.device), labels]


def _cut(extractor: Any, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """Cut boxes (n, 4) out of the map for their size: (n, D, h, w)."""
    maps = maps[: extractor.num_inputs]
    rois = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)  # of image 0
    shape = (boxes.shape[0], maps[0].shape[1], *extractor.roi_layers[0].output_size)
    levels = extractor.map_roi_levels(rois, len(maps))
    found = maps[0].new_zeros(shape)
    for level, (layer, values) in enumerate(
        zip(extractor.roi_layers, maps, strict=True)
    ):
        own = (levels == level).nonzero().squeeze(1)
        part = torchvision.ops.roi_align(
            values,
            rois[own],
            layer.output_size,
            layer.spatial_scale,
            layer.sampling_ratio,
            layer.aligned,
        )
        found = found.index_put((own,), part)
    return found


def _paste(masks: Tensor, boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Resample masks (n, h, w) of boxes to the whole image: (n, H, W).

    As bilinear sampling does, in two products: a row of pixels lies between two rows of
    the mask and takes its share of both, and columns likewise.
    """
    shares = []
    for axis, (length, count) in enumerate(zip(size, masks.shape[1:], strict=True)):
        start, end = boxes[:, 1 - axis, None], boxes[:, 3 - axis, None]
        place = torch.arange(length, device=boxes.device) + 0.5
        place = (place - start) / (end - start).clamp(min=1e-6) * count - 0.5
        steps = torch.arange(count, device=boxes.device)
        shares.append((1 - (place[..., None] - steps).abs()).clamp(min=0))
    return shares[0] @ masks @ shares[1].transpose(1, 2)


def _around(drawn: Tensor) -> Tensor:
    """Give the boxes around masks (n, H, W), zeros where a mask is empty: (n, 4)."""
    corners: list[list[Tensor]] = [[], []]
    for axis in (1, 2):  # columns, then rows
        held = drawn.any(axis).int()
        first, length = held.argmax(1), held.shape[1]
        corners[0].append(first)
        corners[1].append((length - held.flip(1).argmax(1)) * held.amax(1))
    return torch.stack([*corners[0], *corners[1]], 1).float()


def _require(known: bool, what: str, found: object) -> None:
    if not known:
        name = found if isinstance(found, str) else type(found).__name__
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
