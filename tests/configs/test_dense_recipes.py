"""What a table of values does not show of dense recipes: files, and sizes of heads."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope

from ccmim.engine.config import read_config
from ccmim.engine.optim.rates import learning_rates

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2] / 'mm_configs'


def load(leaf):
    return read_config(str(ROOT / f'{leaf}.py'))


def test_the_federated_loss_counts_the_classes_of_the_training_set():
    cfg = load('detection/mask_rcnn_vitb_lvis')
    train = cfg.train_dataloader.dataset.dataset
    loss = cfg.model.roi_head.bbox_head.loss_cls
    assert loss.frequencies == train.data_root + train.ann_file


def test_the_linear_probe_trains_a_norm_and_a_convolution_only():
    cfg = load('segmentation/linear_vitb_ade20k')
    init_default_scope('mmseg')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    head = sum(p.numel() for p in model.decode_head.parameters())
    assert head == 2 * 768 + 768 * 150 + 150
    schedule = learning_rates(cfg, points=100)
    assert schedule.rates[50].max() > 4e-4
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert all(name.startswith('decode_head.') for name in trained)


# Formulae of the published definitions: C channels, K classes, F of the hidden layer.
def _convolutions(count, channels, bias, norm):
    return count * (9 * channels**2 + channels * bias + 2 * channels * norm)


def _box_head(classes, boxes, channels=256, hidden=1024):
    return (
        _convolutions(4, channels, bias=False, norm=True)
        + 49 * channels * hidden
        + hidden
        + (hidden + 1) * (classes + 4 * boxes)
    )


def _mask_head(classes, norm, channels=256):
    return (
        _convolutions(4, channels, bias=not norm, norm=norm)
        + (4 * channels**2 + channels)
        + (channels + 1) * classes
    )


@pytest.mark.parametrize(
    ('leaf', 'boxes', 'masks'),
    [
        ('mask_rcnn_vitl_coco', _box_head(81, 80), _mask_head(80, True)),
        ('mask_rcnn_vitb_lvis', _box_head(1203, 1203), _mask_head(1203, True)),
        ('mask_rcnn_vitb_coco_1x', _box_head(81, 80), _mask_head(80, False)),
        ('cascade_mask_rcnn_vith_coco', 3 * _box_head(81, 1), _mask_head(80, True)),
        (
            'cascade_mask_rcnn_vitb_coco_1x',
            3 * _box_head(81, 80),
            3 * _mask_head(80, False),
        ),
    ],
)
def test_heads_have_the_published_number_of_parameters(leaf, boxes, masks):
    cfg = load(f'detection/{leaf}')
    init_default_scope('mmdet')
    with torch.device('meta'):
        roi_head = MODELS.build(cfg.model).roi_head
    parts = (roi_head.bbox_head, roi_head.mask_head)
    found = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert found == [boxes, masks]
