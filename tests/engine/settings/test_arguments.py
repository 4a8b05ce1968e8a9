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
LEAF_OF = dict(
    mask_rcnn='small/mask_rcnn_vitt_penn_fudan.py',
    upernet='small/upernet_vitt_camvid.py',
    classifier='small/finetune_vitt_cifar10.py',
    eomt='small/eomt_vitt_penn_fudan.py',
)
LEAVES = [p for p in (ROOT / 'mm_configs').glob('*/*.py') if p.parent.name != '_base_']


@pytest.fixture(scope='module')
def whole():
    return Config.fromfile(ROOT / 'mm_configs/pretrain/ccmim_vitb.py')


@pytest.fixture
def cfg(whole):
    return copy.deepcopy(whole)


MISSPELT = """
model.mask_ration mask_ratio
model.backbone.img_sise img_size
optim_wrapper.optimizer.lrr lr
train_dataloader.dataset.transform.0.szie size
train_dataloader.sampler.shufle shuffle
default_hooks.logger.intervall interval
train_cfg.max_epoch max_epochs
"""


@pytest.mark.parametrize('row', MISSPELT.strip().splitlines())
def test_a_misspelt_argument_is_refused_with_the_right_one(cfg, row):
    key, last = row.split()
    meant = f'{key.rpartition(".")[0]}.{last}'
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


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_our_own_configs_are_right(path):
    cfg = Config.fromfile(path)
    fit_sizes(cfg)
    check_arguments(cfg)


@pytest.mark.slow
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


# Of what leaf, what is set, and what it must be.
RANGES = """
mask_rcnn model.test_cfg.rcnn.score_thr=float('nan') | a number from 0 up to 1
mask_rcnn model.roi_head.bbox_head.loss_cls.loss_weight=-1 | a number from 0
mask_rcnn model.roi_head.bbox_head.num_classes=0 | a whole number from 1
mask_rcnn model.backbone.window_size=-1 | a whole number from 0 on
mask_rcnn model.train_cfg.rcnn.mask_size=0 | a whole number from 1 on
mask_rcnn model.train_cfg.rpn.sampler.num=-5 | a whole number from 1 on or -1
mask_rcnn model.test_cfg.rcnn.max_per_img=0 | a whole number from 1 on or -1
mask_rcnn model.test_cfg.rcnn.nms.type='nmsx' | 'nms' or 'soft_nms'
upernet model.test_cfg.stride=(0, 0) | a whole number from 1 on
upernet model.data_preprocessor.seg_pad_val=1000 | a whole number from 0 up
upernet val_evaluator.iou_metrics=['abc'] | a list of ('mIoU'
upernet model.decode_head.ignore_index=-300 | a whole number from 0 up
eomt model.test_cfg.iou_thr=2 | a number from 0 up to 1
eomt model.test_cfg.max_per_image=0 | a whole number from 1 on
eomt model.train_cfg.num_points=0 | a whole number from 1 on
mask_rcnn train_cfg.max_iters=1.5 | a whole number from 1 on
upernet model.decode_head.dropout_ratio=-1 | a number from 0 up to 1
upernet model.decode_head.in_channels=[0.5] | a whole number from 1 on
upernet optim_wrapper.paramwise_cfg.layer_decay=0 | a number above 0 and
upernet optim_wrapper.optimizer.betas=[0.9, 1.0] | a list of 2
classifier model.pool='max' | 'average' or 'class'
upernet optim_wrapper.optimizer.amsgrad='maybe' | True or False
upernet optim_wrapper.optimizer.foreach='maybe' | True or False
upernet train_dataloader.dataset.serialize_data=3 | True or False
upernet log_processor.num_digits=1.5 | a whole number
mask_rcnn model.test_cfg.rcnn.nms.offset=3 | 0 or 1
upernet custom_hooks.0.interval=0 | a whole number from 1 on
upernet optim_wrapper.paramwise_cfg.norm_decay_mult=-1 | a number from
upernet optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mult=-1 | a number from
"""
# What no part can mean; {} is what is set, {key} its key.
NONSENSE = """
mask_rcnn optim_wrapper.optimizer.type='AdamX' | AdamX of {part}: did you mean Adam
mask_rcnn val_evaluator.type='CocoMetrics' | CocoMetrics of {part}: did you mean CocoM
mask_rcnn param_scheduler.0.type='LinearLX' | LinearLX of {part}: did you mean LinearLR?
upernet train_dataloader.dataset.pipeline.2.type='RandomFlop' | of {part}: did you mean
upernet model.decode_head.norm_cfg.type='BX' | unknown type BX of {part}
upernet optim_wrapper.optimizer.momentum=0.9 | unknown key {key} (AdamW has no argument
upernet optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mul=2.0 | unknown key {key}: use
upernet test_evaluator.format_only=True | {} writes files instead of testing: say where,
upernet test_evaluator.format_only=True | , set test_evaluator.output_dir
mask_rcnn val_evaluator.format_only=True | say where, set val_evaluator.outfile_prefix
mask_rcnn model.test_cfg.rpn.nms_post=10 | unknown key {key}: nothing is known to read
upernet default_scope='../x' | {} must name a package, such as mmdet
upernet model.decode_head._scope_='../x' | {} must name a package, such as mmdet
upernet model.decode_head.in_index=[9, 1, 2, 3] | of a head names a map that is none
upernet model.decode_head.in_channels=[64] * 4 | but the maps have 192 channels
mask_rcnn model.rpn_head.in_channels=64 | {}, but the maps have 128 channels
mask_rcnn model.rpn_head.anchor_generator.strides=[4, 8] | {} must be 5, one for each
"""


@pytest.mark.parametrize(
    ('row', 'pattern'),
    [
        *((row, '{key}=.* must be {text}') for row in RANGES.strip().splitlines()),
        *((row, '{text}') for row in NONSENSE.strip().splitlines()),
    ],
)
def test_values_of_others_have_ranges_and_paths_too(row, pattern):
    leaf, text = row.split(' ', 1)
    change, text = text.split(' | ')
    key, value = change.split('=', 1)
    text = text.format(change, key=key, part=key.removesuffix('.type'))
    message = pattern.format(key=key, text=re.escape(text))
    with pytest.raises(ValueError, match=message):
        _change(LEAF_OF[leaf], key, eval(value))


def test_what_a_part_of_ours_does_not_take_is_refused(cfg):
    cfg.model.decoder.banana = 3
    with pytest.raises(ValueError, match=r'unknown key model\.decoder\.banana \(MAE'):
        check_arguments(cfg)


@pytest.mark.parametrize('key', [*BY_NAME, *BY_PATH])
def test_every_known_range_refuses_what_is_none(key):
    path = key if key in BY_PATH else f'model.part.{key}'
    cfg = Config(dict(default_scope='ccmim', model=dict(part={})))
    cfg.merge_from_dict({path: float('nan')})
    with pytest.raises(ValueError, match=re.escape(f'{path}=nan must be')):
        check_arguments(cfg)
