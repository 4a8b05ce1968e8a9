"""Sizes in detection and segmentation configs, derived from the backbone."""

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

from mmengine.config import Config

from ccmim.vit.archs import resolve_arch

SCOPES = ('mmdet', 'mmseg')
_FOUR = (1 / 3, 1 / 2, 2 / 3, 1)  # depths of the maps of BEiT's and MAE's UperNet
_LEVELS = (1 / 4, 1 / 2, 1, 2, 4)  # of a pyramid, in patches
_SIDES = dict(scale=-1, crop_size=1)  # order: width first, or height first


def fit_dense(cfg: Config) -> None:
    """Fill in what a config leaves out or sets to None, from ``model.backbone``.

    Of ``arch``: ``out_indices`` and ``global_blocks``, and the channels of neck and
    heads. Of ``patch_size``: the strides. Of ``img_size``: what images are padded to,
    crops and scales of the pipelines (None, or a fraction of it), and the window that
    slides in tests, by two thirds of itself or the fraction that ``stride`` says. The
    channels of a detector's heads are those of its neck.

    Args:
        cfg: A whole config; changed in place. One without a backbone of ours is left
            alone.

    Raises:
        ValueError: If a detector's images are padded to no square.
    """
    model = cfg.get('model')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if cfg.get('default_scope') not in SCOPES or not isinstance(backbone, Mapping):
        return
    if backbone.get('type') != 'ccmim.VisionTransformer':  # mmseg's has that name too
        return
    if backbone.get('pos_size') and backbone.get('attention', 'softmax') != 'softmax':
        _fill(backbone, 'rel_pos_size', backbone.get('img_size'))
    arch = resolve_arch(backbone.get('arch', 'base'))
    size = backbone.get('img_size', 224)
    height, width = (size, size) if isinstance(size, int) else size
    _fit_blocks(model, arch['depth'])
    _fit_channels(model, arch['embed_dim'])
    _fit_strides(model, backbone.get('patch_size', 16))
    _fit_padding(model, height, width)
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    for key in (*loaders, 'train_pipeline', 'test_pipeline', 'tta_pipeline'):
        for node in _dicts(cfg._cfg_dict.get(key)):
            _fit_transform(node, height, width)


def _fit_blocks(model: Mapping[str, Any], depth: int) -> None:
    neck = str((model.get('neck') or {}).get('type'))
    parts = _FOUR if 'MultiLevel' in neck else (1,)
    last = tuple(round(part * depth) - 1 for part in parts)
    _fill(model.backbone, 'out_indices', last)
    if model.backbone.get('window_size'):
        quarters = tuple(depth * i // 4 - 1 for i in (1, 2, 3, 4))
        _fill(model.backbone, 'global_blocks', quarters)


def _fit_channels(model: Mapping[str, Any], width: int) -> None:
    neck = model.get('neck') or {}
    if neck:
        _fill(neck, 'in_channels', width)
    for head in map(model.get, ('decode_head', 'auxiliary_head')):
        for one in _dicts(head) if head else ():
            if 'num_classes' not in one or 'num_queries' in one:  # knows them
                continue
            index = one.get('in_index', -1)
            _check_index(index, model)
            several = isinstance(index, list | tuple)
            widths = [width] * len(index) if several else width
            _fill(one, 'in_channels', widths)
            if _is_known(neck):
                _check_widths(one.in_channels, widths, 'in_channels of a head', width)
            if one.get('channels', 0) is None:
                one['channels'] = width
    channels, roi = neck.get('out_channels', 256), model.get('roi_head') or {}
    if model.get('rpn_head'):
        _fill(model.rpn_head, 'in_channels', channels)
        key = 'model.rpn_head.in_channels'
        _check_widths(model.rpn_head.in_channels, channels, key, channels)
    for key in ('bbox_roi_extractor', 'mask_roi_extractor'):
        if roi.get(key):
            _fill(roi[key], 'out_channels', channels)
    for key in ('bbox_head', 'mask_head'):
        heads = roi.get(key) or []
        for head in heads if isinstance(heads, list) else [heads]:
            _fill(head, 'in_channels', channels)


def _check_index(index: Any, model: Mapping[str, Any]) -> None:
    """Compare the maps that a head takes with those that there are."""
    known = model.backbone.out_indices
    if not _is_known(model.get('neck')) or not isinstance(known, list | tuple):
        return
    number = len(known)
    taken = index if isinstance(index, list | tuple) else [index]
    if any(isinstance(i, int) and not -number <= i < number for i in taken):
        raise ValueError(
            f'in_index={index} of a head names a map that is none: '
            f'model.backbone.out_indices gives {number}, counted from 0'
        )


def _is_known(neck: Any) -> bool:
    """Whether there is none, or one that gives as many maps of the same width."""
    return not neck or 'MultiLevelPyramid' in str(neck.get('type'))


def _check_widths(given: Any, made: Any, key: str, width: int) -> None:
    given = list(given) if isinstance(given, tuple) else given
    whole = all(isinstance(x, int) for x in (given if type(given) is list else [given]))
    if whole and given != made:  # others are reported with their range
        raise ValueError(
            f'{key}={given}, but the maps have {width} channels: leave it out'
        )


def _fit_strides(model: Mapping[str, Any], patch: int) -> None:
    strides = [patch * level for level in _LEVELS]
    strides = [int(side) if side == int(side) else side for side in strides]
    for node in _dicts(model):
        if node.get('strides', 0) is None:
            node['strides'] = strides
        if node.get('featmap_strides', 0) is None:
            node['featmap_strides'] = strides[:-1]
    anchors = (model.get('rpn_head') or {}).get('anchor_generator') or {}
    levels = anchors.get('strides') if isinstance(anchors, Mapping) else None
    of_ours = 'SimpleFeaturePyramid' in str((model.get('neck') or {}).get('type'))
    if of_ours and isinstance(levels, list | tuple) and len(levels) != len(strides):
        raise ValueError(
            f'model.rpn_head.anchor_generator.strides={levels} must be {len(strides)}, '
            'one for each map of the neck: leave it out'
        )


def _fit_padding(model: Mapping[str, Any], height: int, width: int) -> None:
    pads = model.get('data_preprocessor') or {}
    if pads.get('size', 0) is None:
        pads['size'] = (height, width)
    if pads.get('pad_size_divisor', 0) is None:
        if height != width:
            raise ValueError(
                f'model.backbone.img_size={(height, width)} must be square: images '
                'are padded to it; or set model.data_preprocessor.pad_size_divisor'
            )
        pads['pad_size_divisor'] = height
    tested = model.get('test_cfg') or {}
    if tested.get('crop_size', 0) is None:
        tested['crop_size'] = (height, width)
    part = tested.get('stride', 0)
    if part is None or isinstance(part, float):
        part = 2 / 3 if part is None else part
        tested['stride'] = tuple(round(side * part) for side in tested['crop_size'])


def _fit_transform(node: dict[str, Any], height: int, width: int) -> None:
    for key, order in _SIDES.items():
        part = node.get(key, 0)
        whole = part is None and node.get('scale_factor') is None
        if 'type' in node and (whole or isinstance(part, Real) and 0 < part <= 1):
            sides = [round(side * (1 if whole else part)) for side in (height, width)]
            node[key] = tuple(sides[::order])


def _fill(node: Any, key: str, value: Any) -> None:
    if node.get(key) is None:
        node[key] = value


def _dicts(node: Any) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for part in node:
        yield from _dicts(part)
