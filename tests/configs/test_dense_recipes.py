"""Detection and segmentation recipes train as published: rates, decay, lengths."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from ccmim.engine.optim.rates import learning_rates

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
pytestmark = pytest.mark.downstream

ROOT = Path(__file__).parents[2] / 'mm_configs'

# Leaf: rate, weight decay, layer decay, drop path, warm-up, drops, length, batch.
VITDET = (250, [163889, 177546], 184375, 64)
VITDET_75E = (250, [122916, 133159], 138281, 64)
DETECTION = {
    'mask_rcnn_vitb_coco': (1e-4, 0.1, 0.7, 0.1, *VITDET),
    'mask_rcnn_vitb_coco_relpos': (1e-4, 0.1, 0.7, 0.1, *VITDET),
    'mask_rcnn_vitl_coco': (1e-4, 0.1, 0.8, 0.4, *VITDET),
    'mask_rcnn_vith_coco': (1e-4, 0.1, 0.9, 0.5, *VITDET_75E),
    'cascade_mask_rcnn_vitb_coco': (1e-4, 0.1, 0.7, 0.1, *VITDET),
    'cascade_mask_rcnn_vitl_coco': (1e-4, 0.1, 0.8, 0.4, *VITDET),
    'cascade_mask_rcnn_vith_coco': (1e-4, 0.1, 0.9, 0.5, *VITDET_75E),
    'mask_rcnn_vitb_coco_25e': (1e-4, 0.1, 0.7, 0.1, 250, [40972, 44386], 46093, 64),
    'mask_rcnn_vitb_lvis': (2e-4, 0.1, 0.7, 0.1, 250, [138889, 150463], 156250, 64),
    'mask_rcnn_vitb_coco_1x': (
        *(3e-4, 0.05, 0.75, 0.2, 500),
        *([9 * 3665, 11 * 3665], 12 * 3665, 32),
    ),
    'cascade_mask_rcnn_vitb_coco_1x': (
        *(1e-4, 0.05, 0.75, 0.2, 500),
        *([8 * 7330, 11 * 7330], 12 * 7330, 16),
    ),
}
# Leaf: rate, weight decay, layer decay, length, batch, trained depths.
SEGMENTATION = {
    'upernet_vitb_ade20k': (1e-4, 0.05, 0.65, 160000, 16, 14),
    'upernet_vitl_ade20k': (4e-5, 0.05, 0.95, 160000, 16, 26),
    'upernet_vitb_cityscapes': (1e-4, 0.05, 0.65, 80000, 8, 14),
    'upernet_vitb_voc12aug': (1e-4, 0.05, 0.65, 40000, 16, 14),
}


def load(leaf):
    return Config.fromfile(ROOT / f'{leaf}.py')


def rate_at(schedule, step):
    """The highest rate at the sampled step nearest to one."""
    return schedule.rates[abs(schedule.steps - step).argmin()].max()


@pytest.mark.parametrize('leaf', DETECTION)
def test_detection_learns_at_the_published_rates(leaf):
    rate, decay, layer, path, warm_up, drops, length, batch = DETECTION[leaf]
    cfg = load(f'detection/{leaf}')
    schedule = learning_rates(cfg, points=2000)
    assert schedule.unit == 'steps'
    assert round(cfg.param_scheduler[0].end * length) == warm_up
    assert rate_at(schedule, 0) == pytest.approx(rate / 1000)
    edges = [warm_up, *drops, length]
    for i in range(3):  # in the middle between two edges
        middle = (edges[i] + edges[i + 1]) / 2
        assert rate_at(schedule, middle) == pytest.approx(rate * 0.1**i)
    milestones = cfg.param_scheduler[1].milestones
    assert [round(m * length) for m in milestones] == drops
    assert cfg.train_cfg.max_iters == length
    assert cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.model.backbone.drop_path_rate == path
    assert cfg.optim_wrapper.optimizer.weight_decay == decay
    depths = {'base': 12, 'large': 24, 'huge': 32}[cfg.model.backbone.arch]
    ratios = sorted({round(r, 9) for r in schedule.rates[0] / schedule.rates[0].max()})
    expected = [layer**i for i in reversed(range(depths + 2))]
    assert ratios == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('leaf', SEGMENTATION)
def test_segmentation_learns_at_the_published_rates(leaf):
    rate, decay, layer, length, batch, depths = SEGMENTATION[leaf]
    cfg = load(f'segmentation/{leaf}')
    schedule = learning_rates(cfg, points=2000)
    assert rate_at(schedule, 0) == pytest.approx(rate * 1e-6)
    middle = schedule.steps[len(schedule.steps) // 2]
    share = (length - middle) / (length - 1500)
    assert rate_at(schedule, middle) == pytest.approx(rate * share, rel=2e-3)
    assert rate_at(schedule, length) < rate / 500
    assert cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.optim_wrapper.optimizer.weight_decay == decay
    ratios = schedule.rates[0] / schedule.rates[0].max()
    expected = [layer**i for i in reversed(range(depths))]
    assert sorted({round(r, 9) for r in ratios}) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('leaf', DETECTION)
def test_every_fourth_block_is_global_or_all_are(leaf):
    backbone = load(f'detection/{leaf}').model.backbone
    depth = {'base': 12, 'large': 24, 'huge': 32}[backbone.arch]
    if leaf.endswith('1x'):
        assert (backbone.window_size, backbone.with_cp) == (0, True)
        assert (backbone.out_indices, backbone.global_blocks) == ((3, 5, 7, 11), ())
        assert backbone.img_size == (672, 1088)
    else:
        part = depth // 4
        assert backbone.window_size == 14
        assert backbone.global_blocks == tuple(range(part - 1, depth, part))
        assert backbone.out_indices == (depth - 1,)


@pytest.mark.parametrize('leaf', ['mask_rcnn_vitb_coco', 'mask_rcnn_vith_coco'])
def test_only_the_huge_model_decays_norms_biases_and_positions(leaf):
    cfg = load(f'detection/{leaf}')
    groups = learning_rates(cfg, points=1).names
    free = [name for name in groups if name.endswith('wd 0')]
    assert bool(free) == ('vith' not in leaf)


@pytest.mark.parametrize(
    ('leaf', 'stds', 'weights', 'shares', 'agnostic'),
    [
        (
            'cascade_mask_rcnn_vitb_coco',
            [
                [w[0] ** -1] * 2 + [w[1] ** -1] * 2
                for w in ((10, 5), (20, 10), (30, 15))
            ],
            [1, 1, 1],
            [0.25, 1.0, 1.0],
            True,
        ),
        (
            'cascade_mask_rcnn_vitb_coco_1x',
            [[0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033] * 2 + [0.067] * 2],
            [1, 0.5, 0.25],
            [0.25, 0.25, 0.25],
            False,
        ),
    ],
)
def test_the_stages_of_a_cascade_ask_for_more_and_more_overlap(
    leaf, stds, weights, shares, agnostic
):
    model = load(f'detection/{leaf}').model
    assert model.roi_head.num_stages == 3
    assert model.roi_head.stage_loss_weights == weights
    for i, head in enumerate(model.roi_head.bbox_head):
        assert head.type == 'Shared4Conv1FCBBoxHead'
        assert head.bbox_coder.target_stds == pytest.approx(stds[i])
        assert head.reg_class_agnostic == agnostic
        stage = model.train_cfg.rcnn[i]
        assert stage.assigner.pos_iou_thr == pytest.approx(0.5 + 0.1 * i)
        assert stage.assigner.neg_iou_thr == stage.assigner.pos_iou_thr
        assert stage.sampler.pos_fraction == shares[i]
        assert not stage.assigner.match_low_quality
        assert (stage.sampler.num, stage.mask_size) == (512, 28)


def test_the_cheap_recipes_judge_decoded_boxes_by_giou():
    for leaf in ('mask_rcnn_vitb_coco_1x', 'cascade_mask_rcnn_vitb_coco_1x'):
        model = load(f'detection/{leaf}').model
        heads = model.roi_head.bbox_head
        for head in heads if isinstance(heads, list) else [heads]:
            assert head.reg_decoded_bbox
            assert head.norm_cfg == dict(type='SyncBN', requires_grad=True)
            assert head.loss_bbox == dict(type='GIoULoss', loss_weight=10.0)
        assert model.roi_head.mask_head.norm_cfg is None
        assert model.rpn_head.num_convs == 1
        assert model.train_cfg.rpn_proposal.max_per_img == 2000


def test_lvis_is_learned_by_the_federated_loss_on_repeated_rare_classes():
    cfg = load('detection/mask_rcnn_vitb_lvis')
    train = cfg.train_dataloader.dataset
    assert (train.type, train.oversample_thr) == ('ClassBalancedDataset', 1e-3)
    loss = cfg.model.roi_head.bbox_head.loss_cls
    assert loss.type == 'ccmim.FederatedLoss'
    assert loss.frequencies == train.dataset.data_root + train.dataset.ann_file
    assert cfg.model.test_cfg.rcnn.score_thr == 0.02
    assert cfg.model.test_cfg.rcnn.max_per_img == 300


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
    found = [
        sum(p.numel() for p in part.parameters())
        for part in (roi_head.bbox_head, roi_head.mask_head)
    ]
    assert found == [boxes, masks]
