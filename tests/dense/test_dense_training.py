"""One real step of each model reaches every parameter of the ViT."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.runner import Runner

from ccmim.apps.report.page_details import draw_confusions
from ccmim.dense.coco_objects import objects_of
from ccmim.dense.per_image import keep_samples
from ccmim.engine.config import read_config
from ccmim.engine.settings import fit_sizes
from ccmim.evaluation.resampling import figure
from tests import tiny_methods
from tests.dense.batches import (
    SIZE,
    assert_all_reached,
    detection_batch,
    panoptic_batch,
    segmentation_batch,
)
from tests.two_processes import in_two_processes

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2] / 'mm_configs'
TINY = dict(embed_dim=32, depth=4, num_heads=2)


def build(leaf, **changes):
    """Build the model of a leaf with a tiny backbone, on images of 64 px."""
    cfg = Config.fromfile(ROOT / leaf)
    cfg.model.backbone.update(arch=TINY, img_size=SIZE, init_cfg=None, **changes)
    fit_sizes(cfg)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


def detector(window_size=0):
    blocks = dict(window_size=window_size, global_blocks=(1, 3) if window_size else ())
    return build('small/mask_rcnn_vitt_penn_fudan.py', **blocks)


def segmentor():
    return build('small/upernet_vitt_camvid.py', out_indices=(0, 1, 2, 3))


CASES = {
    'eomt': (lambda: build('small/eomt_vitt_penn_fudan.py'), detection_batch),
    'eomt_semantic': (lambda: build('small/eomt_vitt_camvid.py'), segmentation_batch),
    'eomt_panoptic': (lambda: build('small/eomt_vitt_street.py'), panoptic_batch),
    'mask_rcnn': (detector, detection_batch),
    'mask_rcnn_windows': (lambda: detector(window_size=3), detection_batch),
    'upernet': (segmentor, segmentation_batch),
}


def total_loss(model, batch):
    inner = getattr(model, 'module', model)
    data = inner.data_preprocessor(batch, training=True)
    total, values = inner.parse_losses(model(**data, mode='loss'))
    return total, {k: v for k, v in values.items() if 'loss' in k and k != 'loss'}


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('bf16', [False, True])
def test_a_step_has_finite_losses_and_reaches_every_parameter(case, bf16):
    build_model, make_batch = CASES[case]
    model = build_model().train()
    with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        total, parts = total_loss(model, make_batch())
    total.backward()
    # EoMT has three losses before each of three blocks and at the end.
    numbers = dict(mask_rcnn=5, mask_rcnn_windows=5, upernet=2)
    assert len(parts) == numbers.get(case, 3 * 4)
    assert all(torch.isfinite(v) and v > 0 for v in parts.values()), parts
    assert_all_reached(model)
    for name, param in model.backbone.named_parameters():
        if param.requires_grad:
            # Attention does not feel a shift of the keys, a third of this bias.
            assert param.grad.abs().max() > 0, name


def _shared(*size, **_):
    """Random numbers that each image and mask has alike, whatever the batch."""
    size = size[0] if isinstance(size[0], tuple | torch.Size) else size
    generator = torch.Generator().manual_seed(size[-2])
    drawn = torch.empty(size[1:]).uniform_(generator=generator)
    return drawn.expand(size).contiguous()


def _gradients(model, batch):
    total, _ = total_loss(model, batch)
    total.backward()
    inner = getattr(model, 'module', model)
    return {n: p.grad for n, p in inner.named_parameters() if p.requires_grad}


def _one_of_two(rank, model, images):
    torch.rand = _shared
    batch = {k: v[rank : rank + 1] for k, v in images.items()}
    wrapped = MMDistributedDataParallel(copy.deepcopy(model), broadcast_buffers=False)
    return _gradients(wrapped, batch)


@pytest.mark.dist
@pytest.mark.parametrize('case', ['eomt', 'eomt_semantic', 'eomt_panoptic'])
def test_two_processes_of_eomt_have_the_gradients_of_one(case, tmp_path, monkeypatch):
    """Of an image each, and of both; the points at which masks are judged are given.

    The two have as many objects: mmdet averages the loss of classes in each process.
    """
    build_model, make_batch = CASES[case]
    model, batch = build_model().train(), make_batch()
    batch['inputs'][1] = batch['inputs'][1].flip(-1)
    found, _ = in_two_processes(tmp_path, _one_of_two, model, batch)
    monkeypatch.setattr(torch, 'rand', _shared)
    for name, wanted in _gradients(model, batch).items():
        size = wanted.abs().max().item()
        torch.testing.assert_close(found[name], wanted, rtol=0, atol=1e-4 * size)


def test_boxes_are_found_in_float32_under_autocast():
    model = detector()
    maps = [torch.randn(1, 128, side, side) for side in (16, 8, 4, 2, 1)]
    with torch.autocast('cpu', torch.bfloat16):
        outputs = model.rpn_head(maps)
    assert {out.dtype for level in outputs for out in level} == {torch.float32}


@pytest.mark.parametrize('case', ['mask_rcnn', 'upernet', 'eomt'])
def test_bf16_gives_nearly_the_loss_of_float32(case):
    build_model, make_batch = CASES[case]
    model, losses = build_model().train(), []
    for bf16 in (False, True):
        torch.manual_seed(1)
        with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
            losses.append(total_loss(model, make_batch())[0].item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def _pretrained(name):
    """A method, one with another part, or a fine-tuning, with the same ViT at 64 px."""
    size = dict(arch=TINY, img_size=SIZE, init_cfg=None)
    if name == 'lio':
        cfg = Config.fromfile(ROOT / 'small/finetune_vitt_cifar10_10pct_lio.py')
        cfg.model.backbone.update(size, patch_size=16)
    else:
        cfg = tiny_methods.tiny_config(name)
        cfg.model.backbone.update(size)
    with DefaultScope.overwrite_default_scope('ccmim'):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize('build_model', [detector, segmentor])
@pytest.mark.parametrize('name', ['mae', 'flip', 'soho', *tiny_methods.EXTRAS, 'lio'])
def test_a_checkpoint_is_loaded_as_it_is(tmp_path, build_model, name):
    """Nothing of the backbone is missing or unexpected; other parts are left out."""
    pretrained = _pretrained(name)
    for value in pretrained.backbone.state_dict().values():
        value.add_(0.5)
    file = tmp_path / 'epoch_1.pth'
    torch.save(dict(meta={}, state_dict=pretrained.state_dict()), file)
    model, start = build_model(), dict(type='Pretrained', checkpoint=str(file))
    if name == 'lio':  # the norm is the head's in fine-tuning
        start['allow_missing'] = ['norm.weight', 'norm.bias']
    model.backbone.init_cfg = start
    model.init_weights()
    loaded = model.backbone.state_dict()
    for key, value in pretrained.backbone.state_dict().items():
        torch.testing.assert_close(loaded[key], value, msg=key)


def test_eomt_predicts_objects_regions_and_classes():
    """In one pass without masks: random weights predict something of each kind."""
    with torch.no_grad():
        model, batch = CASES['eomt']
        found = model().eval().test_step(batch())[0].pred_instances
        assert found.masks.shape == (50, SIZE, SIZE)  # queries, of one class
        assert found.scores.min() >= 0
        model, batch = CASES['eomt_panoptic']
        model = model().eval()
        model.panoptic_fusion_head.test_cfg.update(object_mask_thr=0.0, iou_thr=0.0)
        sample = model.test_step(batch())[0]
        segments = sample.pred_panoptic_seg.sem_seg
        listed = objects_of(sample, 3, 0.5, start=7)
        kinds = segments.unique() % 1000
        assert [o['category_id'] - 1 for o in listed] == kinds[kinds < 11].tolist()
        assert sum(o['area'] for o in listed) == (segments % 1000 < 11).sum()
        assert segments.shape == (1, SIZE, SIZE)
        assert (segments % 1000).max() <= 11  # the last of none
        model, batch = CASES['eomt_semantic']
        classes = model().eval().test_step(batch())[0].pred_sem_seg.data
    assert classes.shape == (1, SIZE, SIZE)
    assert classes.max() < 11


def test_the_segmentor_predicts_a_class_for_each_pixel():
    model = segmentor().eval()
    with torch.no_grad():
        result = model.test_step(segmentation_batch())[0]
    assert result.pred_sem_seg.data.shape == (1, SIZE, SIZE)
    assert result.seg_logits.data.shape == (11, SIZE, SIZE)
    classes = result.seg_logits.data.argmax(dim=0)
    assert torch.equal(result.pred_sem_seg.data[0], classes)


def test_pixels_are_counted_by_class_and_prediction(tmp_path):
    """Of each image, so that they make mmseg's mIoU and a matrix on a page."""
    from mmseg.evaluation import IoUMetric

    metric, samples = IoUMetric(), {}
    metric.dataset_meta = dict(classes=tuple('abc'))
    keep_samples(metric, samples)
    labels = torch.randint(0, 3, (4, 1, 8, 8))
    labels[:, :, 0] = 255
    predicted = torch.where(torch.rand(labels.shape) < 0.6, labels % 3, 2)
    for truth, seen in zip(labels, predicted, strict=True):
        parts = dict(pred_sem_seg=dict(data=seen), gt_sem_seg=dict(data=truth))
        metric.process({}, [parts])
    found = metric.evaluate(4)
    sample = samples['mIoU']
    assert figure(sample) == pytest.approx(found['mIoU'], abs=0.01)
    assert sample.by_class(3)[1].sum() == sample.pairs.sum() == 4 * 7 * 8
    taken = (labels == 1) & (predicted == 2)
    assert sample.pairs[:, 1, 2].tolist() == taken.sum((1, 2, 3)).tolist()
    assert draw_confusions(dict(random=sample), 'abc', tmp_path / 'confusions.png')


OBJECTS, CLASSES = {'coco/bbox_mAP', 'coco/segm_mAP'}, {'mIoU', 'aAcc'}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('leaf', 'metrics'),
    [
        ('small/mask_rcnn_vitt_penn_fudan.py', OBJECTS),
        ('small/upernet_vitt_camvid.py', CLASSES),
        ('small/eomt_vitt_camvid.py', CLASSES),
        ('small/eomt_vitt_coco_mini.py', OBJECTS),
    ],
)
def test_a_runner_trains_and_evaluates_on_real_photos(tmp_path, leaf, metrics):
    if not os.environ.get('CCMIM_DATA'):
        pytest.skip('CCMIM_DATA does not name the folder of the small data sets')
    cfg = read_config(str(ROOT / leaf))
    changes = {
        'work_dir': str(tmp_path),
        'train_cfg': dict(max_iters=4, val_interval=4),
        'param_scheduler': None,
        'model.backbone.init_cfg': None,
        'train_dataloader.batch_size': 2,
        'val_dataloader.dataset.indices': 4,
        'default_hooks.logger.interval': 1,
    }
    cfg.merge_from_dict(changes)
    if 'rcnn' in leaf:
        cfg.model.test_cfg.rcnn.score_thr = 0.0  # so that there is something to score
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    runner = Runner.from_cfg(cfg)
    runner.train()
    scalars = runner.message_hub.log_scalars
    assert runner.iter == 4
    assert np.isfinite(scalars['train/loss'].data[0]).all()
    found = {key.removeprefix('val/') for key in scalars if key.startswith('val/')}
    assert metrics <= found
    assert (tmp_path / 'iter_4.pth').exists()


def test_mask_logits_start_near_zero():
    """So that the first loss is log 2, whatever the number of classes."""
    model = detector()
    model.init_weights()
    head = model.roi_head.mask_head
    assert head.num_classes == 1
    logits = head(torch.randn(5, 128, 14, 14))
    assert logits.abs().max() < 0.1
    assert head.conv_logits.weight.std().item() == pytest.approx(0.001, rel=0.3)
