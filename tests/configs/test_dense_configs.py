"""Detection and segmentation configs hold what their names and docstrings say."""

import copy
import functools
import re
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope

from ccmim.apps.demo.scenes import CATEGORIES, PALETTE, SEG_CLASSES
from ccmim.engine.config import read_config

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2] / 'mm_configs'
DENSE = '(cascade_)?mask_rcnn|fcos|upernet|eomt|linear_(vit._camvid|toy)'
LEAVES = sorted(
    str(path.relative_to(ROOT))
    for folder in ('detection', 'segmentation', 'panoptic', 'small', 'demo')
    for path in (ROOT / folder).glob('*.py')
    if folder == 'segmentation' or re.match(DENSE, path.name)
)
FULL = [leaf for leaf in LEAVES if not leaf.startswith(('small', 'demo'))]
ARCH_OF = {f'vit{name[0]}': name for name in ('tiny', 'small', 'base', 'large', 'huge')}
EOMT = {'mmdet': 'ccmim.EoMT', 'mmseg': 'ccmim.EoMTSegmentor'}
MODEL_OF = dict(mask_rcnn='MaskRCNN', cascade_mask_rcnn='CascadeRCNN', fcos='FCOS')
MODEL_OF |= dict(upernet='EncoderDecoder', linear='EncoderDecoder', eomt=EOMT)
CLASSES_OF = dict(coco=80, lvis=1203, cityscapes=19, voc12aug=21, coco_mini=80)
CLASSES_OF |= dict(penn_fudan=1, ade20k=150, camvid=11, street=11, panoptic=133)
CLASSES_OF['toy'] = {'mask_rcnn': len(CATEGORIES), 'upernet': len(SEG_CLASSES)}
CLASSES_OF['toy_64px'] = {'fcos': len(CATEGORIES), 'linear': len(SEG_CLASSES)}


@functools.cache
def load(leaf):
    """Read a leaf; it is not to be changed."""
    return read_config(str(ROOT / leaf))


def _datasets(dataset):
    """The data sets that a wrapper holds, or the only one."""
    if 'datasets' in dataset:
        return list(dataset.datasets)
    return [dataset.get('dataset', dataset)]


def heads(model):
    if 'panoptic_head' in model:
        head = model.panoptic_head
        return [dict(num_classes=head.num_things_classes + head.num_stuff_classes)]
    if 'decode_head' in model:
        return [model[k] for k in ('decode_head', 'auxiliary_head') if k in model]
    if 'roi_head' not in model:
        return [model.bbox_head]
    boxes = model.roi_head.bbox_head
    return [*(boxes if isinstance(boxes, list) else [boxes]), model.roi_head.mask_head]


def modules(part):
    """The modules of a list of stages, or the only one."""
    return list(part) if isinstance(part, torch.nn.ModuleList) else [part]


@pytest.mark.parametrize('leaf', LEAVES)
def test_the_name_says_what_is_inside(leaf):
    cfg = load(leaf)
    family, arch, data, length = re.fullmatch(
        r'((?:cascade_)?mask_rcnn|fcos|upernet|linear|eomt)_(?:(vit.)_)?(\w+?)'
        r'(?:_(1x|25e|relpos|lio))?',
        Path(leaf).stem,
    ).groups()
    wanted = MODEL_OF[family]
    if family == 'eomt':
        assert cfg.model.type == wanted[cfg.default_scope]
    else:
        assert cfg.model.type == wanted
        detection = family == 'fcos' or 'rcnn' in family
        assert cfg.default_scope == ('mmdet' if detection else 'mmseg')
    frozen = cfg.model.backbone.get('frozen_stages', -1) >= 0
    assert frozen == (family == 'linear' and 'toy' not in data)
    if arch:
        assert cfg.model.backbone.arch == ARCH_OF[arch]
    relative = cfg.model.backbone.get('attention') == 'rel_pos'
    assert relative == (length == 'relpos')
    context = 'context' in cfg.model.get('roi_head', {})
    assert context == (length == 'lio')
    if length in ('1x', '25e'):
        epochs = cfg.train_cfg.max_iters * cfg.auto_scale_lr.base_batch_size / 118e3
        assert epochs == pytest.approx({'1x': 12, '25e': 25}[length], rel=0.01)
    classes = CLASSES_OF['panoptic' if leaf.startswith('panoptic') else data]
    classes = classes if isinstance(classes, int) else classes[family]
    assert {head['num_classes'] for head in heads(cfg.model)} == {classes}
    metainfo = cfg.val_dataloader.dataset.get('metainfo')
    if metainfo:
        assert len(metainfo.classes) == len(metainfo.palette) == classes


@pytest.mark.parametrize('leaf', LEAVES)
def test_training_and_evaluation_read_different_files_of_one_data_set(leaf):
    cfg = load(leaf)
    val = cfg.val_dataloader.dataset
    for train in _datasets(cfg.train_dataloader.dataset):
        assert train.data_root == val.data_root
        files = [(d.data_prefix, d.get('ann_file')) for d in (train, val)]
        assert files[0] != files[1]
        assert train.get('metainfo') == val.get('metainfo')
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_evaluator == cfg.val_evaluator
    if cfg.default_scope == 'mmdet':
        assert cfg.val_evaluator.ann_file == val.data_root + val.ann_file
        if 'Panoptic' not in cfg.val_evaluator.type:
            masks = [] if cfg.model.type == 'FCOS' else ['segm']
            assert cfg.val_evaluator.metric == ['bbox', *masks]
    else:
        assert cfg.val_evaluator.iou_metrics == ['mIoU']


@pytest.mark.parametrize('leaf', LEAVES)
def test_the_model_builds_with_matching_widths_and_strides(leaf):
    cfg = load(leaf)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):  # no memory, no time for weights
        model = MODELS.build(copy.deepcopy(cfg.model))
    backbone, neck = model.backbone, cfg.model.get('neck')
    if 'eomt' in leaf:
        assert backbone.out_indices == ()
        head = getattr(model, 'panoptic_head', None) or model.decode_head
        assert head.query.weight.shape[1] == backbone.embed_dim
        assert head.num_blocks == {12: 3, 24: 4}[backbone.depth]
        assert all(p.requires_grad for p in backbone.norm.parameters())
        if cfg.default_scope == 'mmdet':
            canvas = cfg.model.data_preprocessor.pad_size_divisor
            assert (canvas, canvas) == tuple(16 * side for side in backbone.grid)
        return
    assert backbone.out_indices[-1] == backbone.depth - 1
    if neck:
        assert neck.in_channels in (backbone.embed_dim, [backbone.embed_dim])
    if cfg.model.type == 'FCOS':
        assert model.bbox_head.strides == [backbone.patch_size]
        assert model.bbox_head.in_channels == neck.out_channels
    elif cfg.default_scope == 'mmdet':
        roi, canvas = model.roi_head, cfg.model.data_preprocessor.pad_size_divisor
        strides = [backbone.patch_size * s for s in (0.25, 0.5, 1, 2, 4)]
        if neck.type == 'ccmim.SimpleFeaturePyramid':
            resize = [
                s for s in cfg.val_dataloader.dataset.pipeline if s.type == 'Resize'
            ]
            assert max(resize[0].scale) == canvas
            assert len(backbone.out_indices) == 1
        else:
            assert canvas == strides[3]  # each map but the last is cut evenly
            assert len(backbone.out_indices) == 4
        found = model.rpn_head.prior_generator.strides
        assert [stride[0] for stride in found] == strides
        for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
            for extractor in modules(getattr(roi, name)):
                assert list(extractor.featmap_strides) == strides[:4]
                assert extractor.out_channels == neck.out_channels
        for name in ('bbox_head', 'mask_head'):
            for head in modules(getattr(roi, name)):
                assert head.in_channels == neck.out_channels
        assert model.rpn_head.in_channels == neck.out_channels
    elif neck:
        assert len(backbone.out_indices) == 4
        assert model.decode_head.in_channels == [backbone.embed_dim] * 4
        assert model.auxiliary_head.in_channels == backbone.embed_dim
    else:
        assert model.decode_head.in_channels == backbone.embed_dim


@pytest.mark.parametrize('leaf', [x for x in FULL if not x.startswith('panoptic')])
def test_full_size_runs_can_be_tested_with_augmentation(leaf):
    cfg = load(leaf)
    loading, views = cfg.tta_pipeline
    assert (loading.type, views.type) == ('ccmim.LoadImageFromFile', 'TestTimeAug')
    sizes, flips, *_, (packing,) = views.transforms
    assert len(sizes) >= 3
    assert [flip.prob for flip in flips] == [0.0, 1.0]
    if cfg.default_scope == 'mmdet':
        assert cfg.tta_model.type == 'ccmim.InstanceTTAModel'
        tested = cfg.model.test_cfg.get('rcnn') or cfg.model.test_cfg
        most = tested.get('max_per_img') or tested.max_per_image
        assert cfg.tta_model.max_per_img == most
        assert {'flip', 'flip_direction'} < set(packing.meta_keys)
        if (cfg.model.get('neck') or {}).get('type') != 'ccmim.MultiLevelFPN':
            canvas = cfg.model.data_preprocessor.pad_size_divisor
            assert max(max(size.scale) for size in sizes) == canvas
    else:
        assert cfg.tta_model.type == 'SegTTAModel'
        assert cfg.model.test_cfg.mode == 'slide'
        assert cfg.model.test_cfg.crop_size == cfg.model.data_preprocessor.size


def test_toy_classes_are_those_of_the_generator():
    boxes = load('demo/mask_rcnn_toy.py').val_dataloader.dataset.metainfo
    maps = load('demo/upernet_toy.py').val_dataloader.dataset
    assert tuple(boxes.classes) == CATEGORIES
    assert tuple(boxes.palette) == PALETTE[: len(CATEGORIES)]
    assert tuple(maps.metainfo.classes) == SEG_CLASSES
    assert tuple(maps.metainfo.palette) == PALETTE
    assert maps.reduce_zero_label


@pytest.mark.parametrize(
    ('variable', 'leaf', 'expected'),
    [
        ('CCMIM_IMAGENET', 'classification/finetune_vitb_imagenet.py', '/there/train'),
        ('CCMIM_DATA', 'small/finetune_vitt_cifar10.py', '/there/cifar10/train'),
        ('CCMIM_DATA', 'small/mask_rcnn_vitt_penn_fudan.py', '/there/penn_fudan/'),
        ('CCMIM_DATA', 'small/mask_rcnn_vitt_coco_mini.py', '/there/coco_mini/'),
        ('CCMIM_DATA', 'small/upernet_vitt_camvid.py', '/there/camvid'),
        ('CCMIM_COCO', 'detection/mask_rcnn_vitb_coco.py', '/there/'),
        ('CCMIM_COCO', 'detection/mask_rcnn_vitb_coco_1x.py', '/there/'),
        ('CCMIM_LVIS', 'detection/mask_rcnn_vitb_lvis.py', '/there/'),
        ('CCMIM_CITYSCAPES', 'segmentation/upernet_vitb_cityscapes.py', '/there'),
        ('CCMIM_VOC', 'segmentation/upernet_vitb_voc12aug.py', '/there'),
        ('CCMIM_ADE20K', 'segmentation/upernet_vitb_ade20k.py', '/there'),
        ('CCMIM_COCO', 'panoptic/eomt_vits_coco_panoptic.py', '/there/'),
        ('CCMIM_STREET', 'small/eomt_vitt_street.py', '/there/'),
        ('CCMIM_TOY', 'demo/mask_rcnn_toy.py', '/there/'),
        ('CCMIM_TOY', 'demo/upernet_toy.py', '/there'),
    ],
)
def test_data_is_found_where_the_variable_points(monkeypatch, variable, leaf, expected):
    for there in (None, '/there'):
        monkeypatch.delenv(variable, raising=False)
        if there:
            monkeypatch.setenv(variable, there)
        for part in _datasets(load.__wrapped__(leaf).train_dataloader.dataset):
            root = part.get('data_root') or part.data
            assert root == expected if there else root[0] != '/'
