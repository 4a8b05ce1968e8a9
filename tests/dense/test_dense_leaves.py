"""The first training step of every full-size recipe, on a narrow copy of its model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from ccmim.engine.config import read_config
from ccmim.engine.settings import fit_sizes
from tests.dense.batches import (
    SIZE,
    assert_all_reached,
    detection_batch,
    segmentation_batch,
)

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2] / 'mm_configs'
DETECTION = sorted(p.stem for p in (ROOT / 'detection').glob('*rcnn*.py'))
SEGMENTATION = sorted(p.stem for p in (ROOT / 'segmentation').glob('[!e]*.py'))
EOMT = sorted(f'{p.parent.name}/{p.stem}' for p in ROOT.glob('[!s]*/eomt*.py'))
EOMT += sorted(f'segmentation/{p.stem}' for p in ROOT.glob('segmentation/eomt*.py'))
DEPTHS = dict(tiny=12, small=12, base=12, large=24, huge=32)
TWO = 0, 7  # classes of the two objects
WIDTHS = ('in_channels', 'out_channels', 'feat_channels', 'conv_out_channels')


def narrow(part):
    """Cut every width of the heads to 16; lists and stages as well."""
    if isinstance(part, list):
        for one in part:
            narrow(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in WIDTHS:
                part[key] = [16] * 4 if isinstance(value, list) else 16
            elif key == 'channels':
                part[key] = 16
            elif key == 'fc_out_channels':
                part[key] = 32
            else:
                narrow(value)


def build(leaf):
    """Build a leaf's model with all its blocks, 16 channels wide, on 64 px."""
    cfg = Config.fromfile(ROOT / f'{leaf}.py')
    model = cfg.model
    arch = dict(embed_dim=16, depth=DEPTHS[model.backbone.pop('arch')], num_heads=2)
    model.backbone.update(arch=arch, img_size=SIZE, init_cfg=None)
    fit_sizes(cfg)
    for key in ('neck', 'rpn_head', 'roi_head', 'decode_head', 'auxiliary_head'):
        narrow(model.get(key))
    if model.get('roi_head'):
        boxes = model.roi_head.bbox_head
        for head in boxes if isinstance(boxes, list) else [boxes]:
            if 'frequencies' in head.loss_cls:
                head.loss_cls.frequencies = list(range(1, 1204))
    elif cfg.default_scope == 'mmseg':
        model.test_cfg.update(stride=(40, 40))
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    built = MODELS.build(model)
    built.init_weights()
    return built


def step(model, batch):
    """Losses by name after a backward pass under bfloat16, as the leaves train."""
    with torch.autocast('cpu', torch.bfloat16):
        data = model.data_preprocessor(batch, training=True)
        total, values = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    return {k: v.item() for k, v in values.items() if 'loss' in k and k != 'loss'}


@pytest.mark.parametrize('leaf', DETECTION)
@pytest.mark.slow
def test_a_detector_takes_its_first_step(leaf):
    model = build(f'detection/{leaf}').train()
    losses = step(model, detection_batch(TWO))
    stages = 3 if leaf.startswith('cascade') else 1
    masks = 3 if leaf.startswith('cascade') and leaf.endswith('1x') else 1
    assert len(losses) == 2 + 2 * stages + masks
    assert all(np.isfinite(v) and v > 0 for v in losses.values()), losses
    classes = 1203 if leaf.endswith('lvis') else 80
    own = [v for k, v in losses.items() if k.endswith('loss_cls') and 'rpn' not in k]
    # A guess: softmax over all classes, or a bit for each judged class.
    guess = 50 * np.log(2) if classes == 1203 else np.log(classes + 1)
    assert own[0] == pytest.approx(guess, rel=0.1)
    assert_all_reached(model)


@pytest.mark.parametrize('leaf', EOMT)
@pytest.mark.slow
def test_eomt_takes_its_first_step(leaf):
    """Three losses of each of its predictions, and classes as good as a guess."""
    model = build(leaf).train()
    is_semantic = leaf.startswith('segmentation')
    losses = step(model, segmentation_batch() if is_semantic else detection_batch(TWO))
    head = model.decode_head if is_semantic else model.panoptic_head
    assert len(losses) == 3 * (1 + head.num_blocks)
    assert all(np.isfinite(v) and v > 0 for v in losses.values()), losses
    first = next(v for k, v in losses.items() if k.endswith('d0.loss_cls'))
    assert first == pytest.approx(2 * np.log(head.num_classes + 1), rel=0.2)
    assert_all_reached(model)


@pytest.mark.parametrize('leaf', ['demo/mask_rcnn_toy', 'demo/upernet_toy'])
@pytest.mark.parametrize(
    ('key', 'value', 'width', 'patch', 'side'),
    [('arch', 'tiny', 192, 16, 128), ('img_size', 64, 192, 16, 64)]
    + [('patch_size', 32, 192, 32, 128)],
)
def test_one_key_changes_a_size(leaf, key, value, width, patch, side):
    """Model, patch or image: all that depends on it follows, and a step is taken."""
    cfg = read_config(str(ROOT / f'{leaf}.py'), None, {f'model.backbone.{key}': value})
    cfg.model.backbone.init_cfg = None
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    batch = segmentation_batch() if 'upernet' in leaf else detection_batch()
    losses = step(model, batch)
    assert all(np.isfinite(v) and v > 0 for v in losses.values()), losses
    assert_all_reached(model)
    assert model.backbone.grid == (side // patch, side // patch)
    preprocessor = cfg.model.data_preprocessor
    if 'upernet' in leaf:
        assert cfg.model.decode_head.in_channels == [width] * 4
        assert preprocessor.size == (side, side)
        return
    strides = [patch * level for level in (0.25, 0.5, 1, 2, 4)]
    assert [s for s, _ in model.rpn_head.prior_generator.strides] == strides
    assert model.roi_head.bbox_roi_extractor.featmap_strides == strides[:4]
    assert (cfg.model.neck.in_channels, preprocessor.pad_size_divisor) == (width, side)
    assert cfg.val_dataloader.dataset.pipeline[1].scale == (side, side)
    scales = [view.scale for view in cfg.tta_pipeline[1].transforms[0]]
    assert scales == [(side * 7 // 8,) * 2, (side, side)]


def test_images_of_a_detector_are_square():
    options = {'model.backbone.img_size': [128, 64]}
    with pytest.raises(ValueError, match=r'img_size=\(128, 64\) must be square'):
        read_config(str(ROOT / 'demo/mask_rcnn_toy.py'), None, options)


@pytest.mark.parametrize('leaf', SEGMENTATION)
@pytest.mark.slow
def test_a_segmentor_takes_its_first_step(leaf):
    model = build(f'segmentation/{leaf}').train()
    losses = step(model, segmentation_batch())
    assert len(losses) == (1 if leaf.startswith('linear') else 2)
    classes = model.decode_head.num_classes
    assert losses['decode.loss_ce'] == pytest.approx(np.log(classes), rel=0.3)
    assert_all_reached(model)


@pytest.mark.slow
def test_the_small_cascade_takes_its_first_step():
    model = build('small/cascade_mask_rcnn_vitt_penn_fudan').train()
    losses = step(model, detection_batch())
    assert len(losses) == 2 + 2 * 3 + 1
    for stage, overlap in enumerate((0.5, 0.6, 0.7)):
        assert losses[f's{stage}.loss_cls'] == pytest.approx(np.log(2), rel=0.2)
        assert model.train_cfg.rcnn[stage].assigner.pos_iou_thr == overlap
    assert_all_reached(model)


def test_box_features_tell_how_the_parts_of_objects_lie():
    """Of the sampled objects, from what the box head gets; in testing not at all."""
    model = build('small/mask_rcnn_vitt_penn_fudan_lio').train()
    seen = {}
    keep = lambda _, given: seen.update(patches=given[0], grid=given[1])  # noqa: E731
    model.roi_head.context.register_forward_pre_hook(keep)
    sampler, sampled = model.roi_head.bbox_sampler, []
    draw = sampler.sample
    sampler.sample = lambda *a, **k: sampled.append(draw(*a, **k)) or sampled[-1]
    keep = lambda _, __, found: seen.setdefault('features', found)  # noqa: E731
    model.roi_head.bbox_roi_extractor.register_forward_hook(keep)
    losses = step(model, detection_batch())
    assert losses['loss_context'] > 0
    assert_all_reached(model)
    parts = seen['features'].split([len(s.priors) for s in sampled])
    objects = [p[: len(s.pos_priors)] for p, s in zip(parts, sampled, strict=True)]
    expected = torch.cat(objects).flatten(2).transpose(1, 2)
    assert seen['grid'] == (7, 7)
    assert 0 < len(expected) < len(seen['features'])
    torch.testing.assert_close(seen['patches'], expected)
    seen.clear()
    model.eval().test_step(detection_batch(TWO))
    assert 'patches' not in seen


def test_a_frozen_backbone_gets_no_gradient_and_stays_in_evaluation():
    model = build('segmentation/linear_vitb_ade20k').train()
    step(model, segmentation_batch())
    assert all(p.grad is None for p in model.backbone.blocks.parameters())
    assert not any(block.training for block in model.backbone.blocks)
    assert model.decode_head.norm.training


def test_large_images_are_segmented_by_sliding():
    model = build('segmentation/linear_vitb_ade20k').eval()
    images = torch.randn(1, 3, 100, 120)
    meta = [dict(ori_shape=(100, 120), img_shape=(100, 120))]
    with torch.no_grad():
        logits = model.inference(images, meta)
        whole = model.encode_decode(images[:, :, :SIZE, :SIZE], meta)
    assert logits.shape == (1, 150, 100, 120)
    # The first 36 px see the first crop alone.
    torch.testing.assert_close(logits[..., :36, :36], whole[..., :36, :36])


@pytest.mark.parametrize('leaf', ['mask_rcnn_vitb_lvis', 'cascade_mask_rcnn_vitl_coco'])
def test_a_detector_finds_boxes_with_masks(leaf):
    model = build(f'detection/{leaf}').eval()
    model.rpn_head.test_cfg.max_per_img = 20
    model.roi_head.test_cfg.update(score_thr=0.0, max_per_img=20)
    with torch.no_grad():
        found = model.test_step(detection_batch(TWO))[0].pred_instances
    assert len(found) == 20
    assert found.masks.shape == (len(found), SIZE, SIZE)
    assert found.masks.dtype == torch.bool
    assert 0 <= found.bboxes.min() <= found.bboxes.max() <= SIZE
