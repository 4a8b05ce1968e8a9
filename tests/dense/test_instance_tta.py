"""Views of an image are turned back and merged into one result."""

from importlib import import_module

import pytest
import torch
from mmengine.structures import InstanceData
from torch import nn

pytest.importorskip('mmdet')

HEIGHT, WIDTH = 20, 30


@pytest.fixture
def merge():
    from ccmim.dense.instance_tta import InstanceTTAModel

    class Module(nn.Module):
        test_step = None

    def run(views, max_per_img=100, nms=None):
        model = InstanceTTAModel(
            nms or dict(type='nms', iou_threshold=0.5),
            max_per_img=max_per_img,
            module=Module(),
        )
        (merged,) = model.merge_preds([views])
        return merged.pred_instances

    return run


def view(boxes, scores, labels=None, flip=None, masked=True):
    from mmdet.structures import DetDataSample

    boxes = torch.tensor(boxes).reshape(-1, 4)
    found = InstanceData(
        bboxes=boxes,
        scores=torch.tensor(scores),
        labels=torch.tensor(labels or [0] * len(boxes)),
    )
    if masked:
        masks = torch.zeros(len(boxes), HEIGHT, WIDTH, dtype=torch.bool)
        for mask, (left, top, right, bottom) in zip(masks, boxes.int(), strict=True):
            mask[top:bottom, left:right] = True
        found.masks = masks
    meta = dict(ori_shape=(HEIGHT, WIDTH), flip=flip is not None, flip_direction=flip)
    return DetDataSample(metainfo=meta, pred_instances=found)


BOX = [3.0, 2.0, 11.0, 9.0]
FLIPPED = dict(
    horizontal=[WIDTH - 11.0, 2.0, WIDTH - 3.0, 9.0],
    vertical=[3.0, HEIGHT - 9.0, 11.0, HEIGHT - 2.0],
    diagonal=[WIDTH - 11.0, HEIGHT - 9.0, WIDTH - 3.0, HEIGHT - 2.0],
)


@pytest.mark.parametrize('direction', FLIPPED)
def test_flipped_boxes_and_masks_are_turned_back(merge, direction):
    found = merge([view([FLIPPED[direction]], [0.9], flip=direction)])
    assert found.bboxes.tolist() == [BOX]
    rows, columns = found.masks[0].nonzero().T
    assert (rows.min(), rows.max() + 1) == (2, 9)
    assert (columns.min(), columns.max() + 1) == (3, 11)


def test_the_surest_view_of_an_object_wins_with_its_own_mask(merge):
    near = [4.0, 2.0, 11.0, 9.0]
    flipped = view([FLIPPED['horizontal']], [0.8], flip='horizontal')
    views = [view([near], [0.3]), flipped]
    found = merge(views)
    assert found.bboxes.tolist() == [BOX]
    assert found.scores.tolist() == pytest.approx([0.8])
    assert found.masks.sum() == 8 * 7


def test_other_classes_and_places_are_kept_and_sorted_by_score(merge):
    far = [20.0, 10.0, 28.0, 18.0]
    views = [view([BOX, far], [0.3, 0.5]), view([BOX], [0.4], labels=[1])]
    found = merge(views)
    assert found.scores.tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert found.labels.tolist() == [0, 1, 0]
    assert len(merge(views, max_per_img=2)) == 2


def _soft(boxes, scores, labels, nms):
    """What mmcv's soft suppression gives, which torchvision lacks."""
    scores = scores * (1 - torch.tensor([0, 0, 7 / 8]))  # the last is on the first
    keep = scores.argsort(descending=True)
    return torch.cat([boxes, scores[:, None]], dim=1)[keep], keep


def test_scores_and_places_are_those_after_soft_suppression(merge, monkeypatch):
    """It lowers the second view of an object below a surer one elsewhere."""
    if import_module('mmcv._ext').__file__.endswith('.py'):
        monkeypatch.setattr('ccmim.dense.instance_tta.batched_nms', _soft)
    near, far = [4.0, 2.0, 11.0, 9.0], [20.0, 10.0, 28.0, 18.0]
    views = [view([BOX, far], [0.9, 0.5]), view([near], [0.8])]
    soft = dict(type='soft_nms', iou_threshold=0.3, min_score=0.01)
    found = merge(views, nms=soft)
    iou = 7 / 8
    assert found.bboxes.tolist() == [BOX, far, near]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.8 * (1 - iou)])
    assert [int(mask.sum()) for mask in found.masks] == [56, 64, 49]


def test_views_without_objects_or_masks_are_fine(merge):
    assert len(merge([view([], []), view([], [], flip='horizontal')])) == 0
    found = merge([view([BOX], [0.5], masked=False), view([], [], masked=False)])
    assert found.bboxes.tolist() == [BOX]
    assert 'masks' not in found
