"""A misspelt argument is found before anything is built, a right one never."""

import copy
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook

from ccmim.engine.config import read_config
from ccmim.engine.settings import check_arguments, fit_sizes
from ccmim.engine.settings.known_ranges import BY_NAME, BY_PATH
from ccmim.registry import HOOKS

ROOT = Path(__file__).parents[3]
MASK_RCNN = 'small/mask_rcnn_vitt_penn_fudan.py'
UPERNET = 'small/upernet_vitt_camvid.py'
CLASSIFIER = 'small/finetune_vitt_cifar10.py'
LEAVES = [p for p in (ROOT / 'mm_configs').glob('*/*.py') if p.parent.name != '_base_']


@pytest.fixture(scope='module')
def whole():
    return Config.fromfile(ROOT / 'mm_configs/pretrain/ccmim_vitb.py')


@pytest.fixture
def cfg(whole):
    return copy.deepcopy(whole)


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('model.mask_ration', 'model.mask_ratio'),
        ('model.backbone.img_sise', 'model.backbone.img_size'),
        ('optim_wrapper.optimizer.lrr', 'optim_wrapper.optimizer.lr'),
        (
            'train_dataloader.dataset.transform.0.szie',
            'train_dataloader.dataset.transform.0.size',
        ),
        ('train_dataloader.sampler.shufle', 'train_dataloader.sampler.shuffle'),
        ('default_hooks.logger.intervall', 'default_hooks.logger.interval'),
        ('train_cfg.max_epoch', 'train_cfg.max_epochs'),
    ],
)
def test_a_misspelt_argument_is_refused_with_the_right_one(cfg, key, meant):
    cfg.merge_from_dict({key: 1})
    with pytest.raises(ValueError, match=rf'unknown key {key}: did you mean {meant}\?'):
        check_arguments(cfg)


def test_a_misspelt_part_is_no_variable(cfg):
    cfg.train_pipeline = cfg.conv_cfg = dict()
    check_arguments(cfg)
    cfg.optim_wraper = dict()
    with pytest.raises(ValueError, match='unknown key optim_wraper: did you mean opti'):
        check_arguments(cfg)


def test_functions_of_loaders_are_known(cfg):
    cfg.train_dataloader.collate_fn.type = 'default_colate'
    with pytest.raises(ValueError, match='collate_fn: did you mean default_collate?'):
        check_arguments(cfg)


def test_what_takes_any_argument_is_left_alone(cfg):
    @HOOKS.register_module(force=True)
    class GreedyHook(Hook):
        def __init__(self, interval=1, **kwargs):
            pass

    cfg.custom_hooks = [dict(type='GreedyHook', intervall=3)]
    check_arguments(cfg)


def test_arguments_that_owners_take_out_are_left_alone(cfg):
    """mmcv's norms take out requires_grad, the Runner a hook's priority."""
    cfg.custom_hooks = [dict(type='SpeedHook', priority='LOW')]
    cfg.tta_model = dict(norm_cfg=dict(type='SyncBN', requires_grad=False))
    check_arguments(cfg)


@pytest.mark.downstream
@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_our_own_configs_are_right(path):
    cfg = Config.fromfile(path)
    fit_sizes(cfg)
    check_arguments(cfg)


@pytest.mark.slow
@pytest.mark.downstream
@pytest.mark.parametrize('package', ['mmdet', 'mmseg'])
def test_configs_of_others_are_right(package):
    """Ten of each package, evenly from all; not those that need what is missing."""
    module = pytest.importorskip(package)
    files = sorted(Path(module.__file__).parent.glob('.mim/configs/[!_]*/*.py'))
    assert len(files) > 300
    checked = 0
    for path in files[:: len(files) // 20]:
        try:
            cfg = Config.fromfile(path)
        except (ImportError, OSError):
            continue
        check_arguments(cfg)
        fit_sizes(cfg)
        checked += 1
    assert checked >= 10


def _change(leaf, key, value):
    path, options = str(ROOT / 'mm_configs' / leaf), {key: value}
    if 'custom_' in key or key.endswith('norm_decay_mult'):
        cfg = read_config(path)
        cfg.custom_hooks = [dict(type='EMAHook')]
        cfg.optim_wrapper.pop('constructor')
        cfg.optim_wrapper.paramwise_cfg = dict()
        cfg.merge_from_dict(options)
    else:
        cfg = read_config(path, options=options)
    check_arguments(cfg)


@pytest.mark.downstream
@pytest.mark.parametrize(
    ('leaf', 'key', 'value', 'message'),
    [
        (MASK_RCNN, 'model.test_cfg.rcnn.score_thr', 'nan', 'a number from 0 up to 1'),
        (
            MASK_RCNN,
            'model.roi_head.bbox_head.loss_cls.loss_weight',
            -1,
            'a number fro',
        ),
        (MASK_RCNN, 'model.roi_head.bbox_head.num_classes', 0, 'a whole number from 1'),
        (MASK_RCNN, 'model.backbone.window_size', -1, 'a whole number from 0 on'),
        (MASK_RCNN, 'model.train_cfg.rcnn.mask_size', 0, 'a whole number from 1 on'),
        (
            MASK_RCNN,
            'model.train_cfg.rpn.sampler.num',
            -5,
            'a whole number from 1 on or -1',
        ),
        (
            MASK_RCNN,
            'model.test_cfg.rcnn.max_per_img',
            0,
            'a whole number from 1 on or -1',
        ),
        (MASK_RCNN, 'model.test_cfg.rcnn.nms.type', 'nmsx', "'nms' or 'soft_nms'"),
        (UPERNET, 'model.test_cfg.stride', (0, 0), 'a whole number from 1 on'),
        (
            UPERNET,
            'model.data_preprocessor.seg_pad_val',
            1000,
            'a whole number from 0 up',
        ),
        (UPERNET, 'val_evaluator.iou_metrics', ['abc'], r"a list of \('mIoU'"),
        (UPERNET, 'model.decode_head.ignore_index', -300, 'a whole number from 0 up'),
        (MASK_RCNN, 'train_cfg.max_iters', 1.5, 'a whole number from 1 on'),
        (UPERNET, 'model.decode_head.dropout_ratio', -1, 'a number from 0 up to 1'),
        (UPERNET, 'model.decode_head.in_channels', [0.5], 'a whole number from 1 on'),
        (UPERNET, 'optim_wrapper.paramwise_cfg.layer_decay', 0, 'a number above 0 and'),
        (UPERNET, 'optim_wrapper.optimizer.betas', [0.9, 1.0], 'a list of 2'),
        (CLASSIFIER, 'model.pool', 'max', "'average' or 'class'"),
        # stated by the classes themselves: switches, whole numbers, texts
        (UPERNET, 'optim_wrapper.optimizer.amsgrad', 'maybe', 'True or False'),
        (UPERNET, 'optim_wrapper.optimizer.foreach', 'maybe', 'True or False'),
        (UPERNET, 'train_dataloader.dataset.serialize_data', 3, 'True or False'),
        (UPERNET, 'log_processor.num_digits', 1.5, 'a whole number'),
        (MASK_RCNN, 'model.test_cfg.rcnn.nms.offset', 3, '0 or 1'),
        (UPERNET, 'custom_hooks.0.interval', 0, 'a whole number from 1 on'),
        (UPERNET, 'optim_wrapper.paramwise_cfg.norm_decay_mult', -1, 'a number from'),
        (
            UPERNET,
            'optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mult',
            -1,
            'a number from',
        ),
    ],
)
def test_values_of_others_have_ranges_too(leaf, key, value, message):
    value = float(value) if value == 'nan' else value
    with pytest.raises(ValueError, match=f'{key}=.* must be {message}'):
        _change(leaf, key, value)


@pytest.mark.downstream
@pytest.mark.parametrize(
    ('leaf', 'key', 'value', 'message'),
    [
        (
            MASK_RCNN,
            'optim_wrapper.optimizer.type',
            'AdamX',
            'unknown type AdamX of optim_wrapper.optimizer: did you mean Adam',
        ),
        (
            MASK_RCNN,
            'val_evaluator.type',
            'CocoMetrics',
            'unknown type CocoMetrics of val_evaluator: did you mean CocoMetric?',
        ),
        (
            MASK_RCNN,
            'param_scheduler.0.type',
            'LinearLX',
            'unknown type LinearLX of param_scheduler.0: did you mean LinearLR?',
        ),
        (
            UPERNET,
            'train_dataloader.dataset.pipeline.2.type',
            'RandomFlop',
            'unknown type RandomFlop of train_dataloader.dataset.pipeline.2: did you',
        ),
        (
            UPERNET,
            'model.decode_head.norm_cfg.type',
            'BX',
            'unknown type BX of model.decode_head.norm_cfg',
        ),
        (
            UPERNET,
            'optim_wrapper.optimizer.momentum',
            0.9,
            'unknown key optim_wrapper.optimizer.momentum (AdamW has no argument mo',
        ),
        (
            UPERNET,
            'optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mul',
            2.0,
            'unknown key optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mul: use one',
        ),
        (
            UPERNET,
            'test_evaluator.format_only',
            True,
            'test_evaluator.format_only=True writes files instead of testing: say where'
            ', set test_evaluator.output_dir',
        ),
        (
            MASK_RCNN,
            'val_evaluator.format_only',
            True,
            'say where, set val_evaluator.outfile_prefix',
        ),
        (
            MASK_RCNN,
            'model.test_cfg.rpn.nms_post',
            10,
            'unknown key model.test_cfg.rpn.nms_post: nothing is known to read it',
        ),
        (
            UPERNET,
            'model.decode_head.in_index',
            [9, 1, 2, 3],
            'in_index=[9, 1, 2, 3] of a head names a map that is none',
        ),
        (
            UPERNET,
            'model.decode_head.in_channels',
            [64] * 4,
            'in_channels of a head=[64, 64, 64, 64], but the maps have 192 channels',
        ),
        (
            MASK_RCNN,
            'model.rpn_head.in_channels',
            64,
            'model.rpn_head.in_channels=64, but the maps have 128 channels',
        ),
        (
            MASK_RCNN,
            'model.rpn_head.anchor_generator.strides',
            [4, 8],
            'model.rpn_head.anchor_generator.strides=[4, 8] must be 5, one for each',
        ),
    ],
)
def test_what_no_part_can_mean_is_refused_with_its_path(leaf, key, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        _change(leaf, key, value)


def test_what_a_part_of_ours_does_not_take_is_refused(cfg):
    """However little it resembles what it takes: nobody reads it."""
    cfg.model.decoder.banana = 3
    with pytest.raises(ValueError, match=r'unknown key model\.decoder\.banana \(MAE'):
        check_arguments(cfg)


@pytest.mark.parametrize('key', [*BY_NAME, *BY_PATH])
def test_every_known_range_refuses_what_is_none(key):
    """Of parts of other packages, whose classes say nothing."""
    path = key if key in BY_PATH else f'model.part.{key}'
    cfg = Config(dict(default_scope='ccmim', model=dict(part={})))
    cfg.merge_from_dict({path: float('nan')})
    with pytest.raises(ValueError, match=re.escape(f'{path}=nan must be')):
        check_arguments(cfg)
