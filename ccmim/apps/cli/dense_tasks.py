"""Configs that train detectors and segmentors on labeled data."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.task_setting import TaskSetting
from ccmim.engine.config import read_config
from ccmim.labels.cut import cut_coco, list_names
from ccmim.labels.layouts import Classes, Instances, Labeled
from ccmim.labels.map_folders import Maps
from ccmim.labels.settings import wheel

_FAST_IMAGES = 12  # that are tested
_DENSE_PATCH = 16  # what the pyramids are made for
_LETTERS = {'small': 's', 'base': 'b', 'large': 'l'}


def heads_of(data: Labeled, chosen: Sequence[str] | None) -> list[str]:
    """Choose the heads of a data set.

    Args:
        data: Of objects or maps.
        chosen: Names of heads; nothing for the usual one.

    Returns:
        '' for the usual one (Mask R-CNN, UperNet), 'eomt'.

    Raises:
        Mistake: If none of the chosen is for such labels.
    """
    usual = 'mask_rcnn' if isinstance(data, Instances) else 'upernet'
    if isinstance(data, Classes) or not chosen:
        return ['']
    heads = [head for head in (usual, 'eomt') if head in chosen]
    if not heads:
        raise Mistake(
            f'the head {chosen[0]} is for other labels than those of {data.root}',
            f'take {usual} or eomt',
        )
    return ['' if head == usual else head for head in heads]


def detection_config(tasks: TaskSetting, data: Instances, name: str) -> Config:
    """Make the config of a Mask R-CNN, without masks of a Faster R-CNN, or EoMT."""
    kind = tasks.head or 'mask_rcnn'
    cfg = _recipe(tasks, f'detection/{kind}_vit{{}}_coco', f'{kind}_vitt_penn_fudan')
    if kind == 'eomt':
        if not data.with_masks:
            raise Mistake(
                f'{data.root} has boxes and no masks, which EoMT learns',
                'leave eomt out of --heads',
            )
        cfg.model.panoptic_head.num_things_classes = len(data.classes)
    elif not data.with_masks:
        _leave_masks_out(cfg)
    for head in ('bbox_head', 'mask_head'):
        if cfg.model.get('roi_head', {}).get(head):
            cfg.model.roi_head[head].num_classes = len(data.classes)
    for loader, part in (('train', data.train), ('val', data.test or data.train)):
        file = part[0]
        cut = tasks.fast and loader == 'val'
        if data.test is None or cut or tasks.is_reduced(loader):
            file = tasks.file(f'{name}_{loader}.json')
            keep = tasks.keep(loader, data.test is not None)
            photos = part[1] if loader == 'val' and data.test is None else None
            most = _FAST_IMAGES if cut else None
            cut_coco(part[0], file, keep, most, photos, data.classes)
        cfg[f'{loader}_dataloader'].dataset.update(
            data_root='',
            ann_file=str(file),
            data_prefix=dict(img=f'{part[1]}/'),
            metainfo=dict(classes=data.classes),
        )
    cfg.train_dataloader.dataset.filter_cfg.min_size = 0  # small photos count too
    cfg.val_evaluator.ann_file = str(file)
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    return cfg


def segmentation_config(tasks: TaskSetting, data: Maps, name: str) -> Config:
    """Make the config of an UperNet, or of EoMT."""
    kind = tasks.head or 'upernet'
    cfg = _recipe(tasks, f'segmentation/{kind}_vit{{}}_ade20k', f'{kind}_vitt_camvid')
    depth, model = tasks.architecture.depth, cfg.model
    if not tasks.full:  # whole images there, of one size; here crops of any
        file = home() / 'mm_configs/_base_/datasets/ade20k.py'
        crops = read_config(str(file), imports=False)
        side = 256
        for transform in crops.train_pipeline:
            if transform.type == 'RandomResize':
                transform.scale = (4 * side, side)
            if transform.type == 'RandomCrop':
                transform.crop_size = (side, side)
        crops.test_pipeline[1].scale = (4 * side, side)
        cfg.train_dataloader.dataset.pipeline = crops.train_pipeline
        cfg.val_dataloader.dataset.pipeline = crops.test_pipeline
        model.data_preprocessor.size = (side, side)
        model.backbone.img_size = side
        if kind == 'eomt':
            window = dict(crop_size=(side, side), stride=(side, side))
            model.test_cfg = dict(mode='slide', **window)
        else:
            model.backbone.out_indices = [depth * i // 4 - 1 for i in (1, 2, 3, 4)]
    for name_of in ('decode_head', 'auxiliary_head'):
        if name_of in model:
            model[name_of].num_classes = len(data.classes)
    for loader, part in (('train', data.train), ('val', data.test or data.train)):
        dataset = cfg[f'{loader}_dataloader'].dataset
        dataset.update(
            type='BaseSegDataset',
            data_root='',
            data_prefix=dict(img_path=str(part[0]), seg_map_path=str(part[1])),
            img_suffix=data.suffixes[0],
            seg_map_suffix=data.suffixes[1],
            reduce_zero_label=data.ignore_zero,
            metainfo=dict(classes=data.classes, palette=wheel(len(data.classes))),
        )
        cut = tasks.fast and loader == 'val'
        if data.test is None or cut or tasks.is_reduced(loader):
            dataset.ann_file = str(tasks.file(f'{name}_{loader}.txt'))
            keep = tasks.keep(loader, data.test is not None)
            most = _FAST_IMAGES if cut else None
            names = Path(dataset.ann_file)
            own = loader == 'val' and data.test is None
            list_names(part[0], data.suffixes[0], names, keep, most, own)
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def _recipe(tasks: TaskSetting, full: str, small: str) -> Config:
    """Read a recipe, for the backbone and the number of steps."""
    options = tasks.options()
    name = f'small/{small}'
    if tasks.full:
        if (letter := _LETTERS.get(str(options['arch']))) is None:
            raise Mistake(
                '--full has no recipe for a ViT of this size',
                f'it has for {", ".join(_LETTERS)}; leave out --full',
            )
        name = full.format(letter)
    options.pop('img_size', None)
    if tasks.full and options.get('pos_embed') != 'none':
        options.pop('pos_embed', None)  # the papers train theirs
    else:
        options.setdefault('pos_embed', 'sincos')
    if (patch := options['patch_size']) != _DENSE_PATCH:
        options['patch_size'] = _DENSE_PATCH
        options['init_cfg'] = dict(type='Pretrained', resize_patch=True)
        tasks.notes.append(
            f'patches of {patch} px are resampled to {_DENSE_PATCH} px, which the '
            'recipes are made for (init_cfg.resize_patch)'
        )
    cfg = tasks.read(name, options)
    if tasks.full:
        cfg.auto_scale_lr.enable = True
    if tasks.steps:
        _shorten(cfg, tasks.steps)
    return cfg


def _leave_masks_out(cfg: Config) -> None:
    """Make a Faster R-CNN of a Mask R-CNN."""
    cfg.model.type = 'FasterRCNN'
    cfg.model.data_preprocessor.pad_mask = False
    cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        for step in loader.dataset.pipeline:
            if step.type.endswith('LoadAnnotations'):
                step.with_mask = False
            if step.type == 'RandomCrop':
                step.recompute_bbox = False  # it is by the mask
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.metric = 'bbox'


def _shorten(cfg: Config, steps: int) -> None:
    loop = cfg.train_cfg
    if 'max_iters' not in loop:
        raise Mistake('this recipe counts epochs', 'leave out --steps')
    loop.update(max_iters=steps, val_interval=steps)
