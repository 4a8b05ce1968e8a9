"""Detectron2's cascade: one mask head, gradients of the stages divided."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

from tests.dense.batches import detection_batch

pytest.importorskip('mmdet')

ROOT = Path(__file__).parents[2] / 'mm_configs'
SIDE = 64


@pytest.fixture
def head():
    """The heads of a cascade with 8 channels and three classes."""
    path = ROOT / '_base_/models/cascade_mask_rcnn_vit.py'
    model = Config.fromfile(path).model
    roi_head = model.roi_head
    for part in (roi_head.bbox_roi_extractor, roi_head.mask_roi_extractor):
        part.update(out_channels=8, featmap_strides=[4, 8, 16, 32])
    for part in (*roi_head.bbox_head, roi_head.mask_head):
        part.update(in_channels=8, conv_out_channels=8, num_classes=3)
    for part in roi_head.bbox_head:
        part.fc_out_channels = 8
    roi_head.update(train_cfg=model.train_cfg.rcnn, test_cfg=model.test_cfg.rcnn)
    init_default_scope('mmdet')
    built = MODELS.build(roi_head)
    built.init_weights()
    return built


def maps():
    sides = (16, 8, 4, 2, 1)
    return [torch.randn(1, 8, s, s, requires_grad=True) for s in sides]


def proposals():
    left = torch.rand(40, 2) * 30
    boxes = torch.cat([left, left + 5 + torch.rand(40, 2) * 25], dim=1)
    return InstanceData(bboxes=boxes)


def sample():
    sample = detection_batch((1, 1))['data_samples'][0]
    sample.gt_instances = sample.gt_instances[:1]
    return sample


def test_masks_learn_in_the_first_stage_only(head):
    losses = head.loss(maps(), [proposals()], [sample()])
    masks = [name for name in losses if 'mask' in name]
    assert masks == ['s0.loss_mask']
    assert [f's{i}.loss_cls' in losses for i in range(3)] == [True] * 3


def test_box_heads_send_a_third_into_the_maps_and_learn_in_full(head):
    """Of mmdet's own cascade with the same weights."""
    from mmdet.models.roi_heads import CascadeRoIHead

    rois = torch.cat([torch.zeros(40, 1), proposals().bboxes], dim=1)
    gradients = {}
    levels = maps()
    for kind in (type(head), CascadeRoIHead):
        head.zero_grad()
        for level in levels:
            level.grad = None
        found = kind._bbox_forward(head, 1, levels, rois)
        (found['cls_score'].sum() + found['bbox_pred'].square().sum()).backward()
        gradients[kind] = [levels[0].grad, head.bbox_head[1].fc_cls.weight.grad.clone()]
    ours, theirs = gradients[type(head)], gradients[CascadeRoIHead]
    assert theirs[0].abs().max() > 0
    torch.testing.assert_close(ours[0], theirs[0] / 3)
    torch.testing.assert_close(ours[1], theirs[1])


def test_later_stages_take_all_that_the_first_one_took(head):
    seen = []
    for sampler in head.bbox_sampler:

        def watched(*args, _sample=sampler.sample, **kwargs):
            result = _sample(*args, **kwargs)
            seen.append(len(result.priors))
            return result

        sampler.sample = watched
    head.loss(maps(), [proposals()], [sample()])
    assert seen == [41] * 3  # all fit; the object itself is among them


def test_masks_are_predicted_once_for_the_final_boxes(head):
    levels, results = maps(), [InstanceData(bboxes=proposals().bboxes[:5])]
    results[0].labels = torch.tensor([0, 1, 2, 1, 0])
    calls = []
    head.mask_head.register_forward_hook(lambda *args: calls.append(len(args[1][0])))
    with torch.no_grad():
        rois = torch.cat([torch.zeros(5, 1), results[0].bboxes], dim=1)
        logits = head._mask_forward(0, levels, rois)['mask_preds']
        expected = head.mask_head.predict_by_feat(
            (logits,), copy.deepcopy(results), [sample().metainfo], head.test_cfg
        )
        calls.clear()
        found = head.predict_mask(levels, [sample().metainfo], results)
    assert calls == [5]
    assert torch.equal(found[0].masks, expected[0].masks)


def test_no_boxes_have_no_masks(head):
    none = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    (found,) = head.predict_mask(maps(), [sample().metainfo], [none], rescale=True)
    assert found.masks.shape == (0, SIDE, SIDE)
