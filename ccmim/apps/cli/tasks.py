"""Configs that evaluate a backbone on labeled data, derived from mm_configs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.probing import most_pixels
from ccmim.apps.cli.quiet import no_messages
from ccmim.checkpoints import Architecture
from ccmim.classification.labels import FolderLabels, open_labels
from ccmim.engine.config import read_config
from ccmim.files import write_file
from ccmim.labels.cut import cut_coco, is_test, list_classes, list_names
from ccmim.labels.layouts import Classes, Instances, Labeled, Maps
from ccmim.labels.settings import wheel

_FAST_STEPS = 20
_FAST_IMAGES, _FAST_LABELED = 12, 400  # tested images; those of k-NN
_DENSE_PATCH = 16  # what the pyramids are made for
_GOLDEN = 0.6180339887498949
_LETTERS = {'small': 's', 'base': 'b', 'large': 'l'}


class Part(NamedTuple):
    """Which of the labels are used.

    Attributes:
        fraction: Of the training images that are used.
        fold: Number of the part that is kept for testing, where there is no split.
        folds: How many such parts there are; every fifth image is kept when 0.
    """

    fraction: float = 1.0
    fold: int = 0
    folds: int = 0

    def is_test(self, number: int) -> bool:
        """Return whether an image without a split is kept for testing."""
        return number % self.folds == self.fold if self.folds else is_test(number)

    def is_taken(self, number: int) -> bool:
        """Return whether a training image is used; a smaller fraction is in a larger.

        The multiples of the golden ratio are spread evenly, wherever they stop.
        """
        return number * _GOLDEN % 1 < self.fraction


class Tasks:
    """Writes configs for a backbone.

    Args:
        architecture: Of the backbone.
        out: Folder for configs and lists.
        fast: Whether some steps on some images will do.
        full: Whether to take the recipes of the papers.
        steps: Of fine-tuning; what the recipe says when None.
        image_size: Side at which k-NN and linear probe look; that of the weights, and
            no more than ``most_pixels``, when None.
    """

    def __init__(
        self,
        architecture: Architecture,
        out: Path,
        fast: bool = False,
        full: bool = False,
        steps: int | None = None,
        image_size: int | None = None,
    ) -> None:
        self.head = ''  # of a dense task: 'eomt', else what is usual for the labels
        self._architecture, self._out = architecture, out
        self._side = image_size
        self._part = Part()
        self.base = ''  # of the config that was made last, in mm_configs
        self.notes: list[str] = []  # what was changed of the weights for it
        self._fast, self._full = fast, full
        self._steps = steps or (_FAST_STEPS if fast else None)

    def write(
        self,
        data: Labeled,
        name: str,
        part: Part | None = None,
        finetune: bool = False,
    ) -> Path:
        """Write the config of what labeled data allow, tested once when it is trained.

        Args:
            data: The data.
            name: What the task is called.
            part: Which of the labels are used; all when None.
            finetune: Whether class folders fine-tune a classifier.

        Returns:
            Path of the config.
        """
        (self._out / 'configs').mkdir(parents=True, exist_ok=True)
        file = self._out / 'configs' / f'{name}.py'
        self._part = part or Part()
        cfg = self._finetuned(data, name) if finetune else self.config(data, name)
        if 'train_cfg' in cfg:  # the test is on the same images
            cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        write_file(file, cfg.pretty_text)
        return file

    def config(self, data: Labeled, name: str) -> Config:
        """Make the config of what labeled data allow; arguments as of ``write``."""
        self.notes.clear()
        if isinstance(data, Classes):
            return self._probe(data, name)
        if isinstance(data, Instances):
            return self._mask_rcnn(data, name)
        return self._upernet(data, name)

    def probe_side(self, photos: Sequence[str | Path]) -> int | list[int]:
        """Choose the side at which k-NN and linear probe look at photos.

        Raises:
            Mistake: If it was asked for, and patches do not fit into it.
        """
        own, patch = self._architecture.img_size, self._architecture.patch_size
        if self._side is None:
            most = max(most_pixels(photos) // patch, 1) * patch
            return own if max(_pair(own)) <= most else most
        if self._side % patch:
            near = max(patch, round(self._side / patch) * patch)
            raise Mistake(
                f'--image-size {self._side} must be a multiple of {patch}, the side of '
                'the patches',
                f'for instance --image-size {near}',
            )
        return self._side

    def _probe(self, data: Classes, name: str) -> Config:
        """Make the config of k-NN and linear probe."""
        cfg = self._read('small/knn_vitt_cifar10')
        options, labels = self._options(), FolderLabels(str(data.train))
        classes = labels.classes
        options['img_size'] = side = self.probe_side(labels.paths())
        cfg.model.backbone.update(options)
        cfg.model.head.num_classes = len(classes)
        ratio = 1.0 if min(_pair(side)) < 64 else 224 / 256
        for loader, folder in (('train', data.train), ('val', data.test or data.train)):
            dataset = cfg[f'{loader}_dataloader'].dataset
            dataset.data, dataset.classes = str(folder), list(classes)
            dataset.transform[0].update(size=side, crop_ratio=ratio)
            cfg[f'{loader}_dataloader'].update(
                batch_size=64, num_workers=1, pin_memory=False
            )
            if self._fast or data.test is None:
                dataset.data = str(self._file(f'{name}_{loader}.txt'))
                keep = self._keep(loader, data.test is not None, by_class=True)
                most = _FAST_LABELED if self._fast else None
                list_classes(folder, classes, Path(dataset.data), keep, most)
        if self._part.fraction < 1:
            cfg.train_dataloader.dataset.label_ratio = self._part.fraction
        cfg.test_dataloader = cfg.val_dataloader
        return cfg

    def _finetuned(self, data: Classes, name: str) -> Config:
        """Make the config that fine-tunes a classifier, on the data of the probe."""
        probe = self._probe(data, name)
        cfg = self._read('small/finetune_vitt_cifar10')
        options = dict(probe.model.backbone)
        cfg.model.backbone.update(
            {k: options[k] for k in self._options() if k in options},
            init_cfg=dict(type='Pretrained', checkpoint=None),
        )
        if self._architecture.class_token is False:
            cfg.model.pool = 'average'
        cfg.model.head.num_classes = probe.model.head.num_classes
        for loader in ('train', 'val'):
            own, given = cfg[f'{loader}_dataloader'], probe[f'{loader}_dataloader']
            steps = own.dataset.transform
            own.dataset = given.dataset
            if loader == 'train':
                own.dataset.transform = steps
                own.dataset.transform[0].size = options['img_size']
            own.update(num_workers=1, pin_memory=False)
        count = len(open_labels(cfg.train_dataloader.dataset.data).paths())
        batch = max(2, min(64, count // 4))
        cfg.train_dataloader.batch_size = batch
        if self._steps:
            cfg.train_cfg.max_epochs = max(1, self._steps * batch // max(1, count))
        cfg.auto_scale_lr.enable = True
        cfg.test_dataloader = cfg.val_dataloader
        return cfg

    def _mask_rcnn(self, data: Instances, name: str) -> Config:
        """Make the config of a Mask R-CNN, without masks of a Faster R-CNN, or EoMT."""
        kind = self.head or 'mask_rcnn'
        cfg = self._dense(f'detection/{kind}_vit{{}}_coco', f'{kind}_vitt_penn_fudan')
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
            cut = self._fast and loader == 'val'
            if data.test is None or cut or self._fewer(loader):
                file = self._file(f'{name}_{loader}.json')
                keep = self._keep(loader, data.test is not None)
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

    def _upernet(self, data: Maps, name: str) -> Config:
        """Make the config of an UperNet, or of EoMT."""
        kind = self.head or 'upernet'
        cfg = self._dense(f'segmentation/{kind}_vit{{}}_ade20k', f'{kind}_vitt_camvid')
        depth, model = self._architecture.depth, cfg.model
        if not self._full:  # whole images there, of one size; here crops of any
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
            cut = self._fast and loader == 'val'
            if data.test is None or cut or self._fewer(loader):
                dataset.ann_file = str(self._file(f'{name}_{loader}.txt'))
                keep = self._keep(loader, data.test is not None)
                most = _FAST_IMAGES if cut else None
                names = Path(dataset.ann_file)
                own = loader == 'val' and data.test is None
                list_names(part[0], data.suffixes[0], names, keep, most, own)
        cfg.test_dataloader = cfg.val_dataloader
        return cfg

    def _options(self) -> dict[str, Any]:
        return dict(self._architecture.options())

    def _dense(self, full: str, small: str) -> Config:
        """Read a recipe, for the backbone and the number of steps."""
        options = self._options()
        name = f'small/{small}'
        if self._full:
            if (letter := _LETTERS.get(str(options['arch']))) is None:
                raise Mistake(
                    '--full has no recipe for a ViT of this size',
                    f'it has for {", ".join(_LETTERS)}; leave out --full',
                )
            name = full.format(letter)
        options.pop('img_size', None)
        if self._full and options.get('pos_embed') != 'none':
            options.pop('pos_embed', None)  # the papers train theirs
        else:
            options.setdefault('pos_embed', 'sincos')
        if (patch := options['patch_size']) != _DENSE_PATCH:
            options['patch_size'] = _DENSE_PATCH
            options['init_cfg'] = dict(type='Pretrained', resize_patch=True)
            self.notes.append(
                f'patches of {patch} px are resampled to {_DENSE_PATCH} px, which the '
                'recipes are made for (init_cfg.resize_patch)'
            )
        cfg = self._read(name, options)
        if self._full:
            cfg.auto_scale_lr.enable = True
        if self._steps:
            _shorten(cfg, self._steps)
        return cfg

    def _fewer(self, loader: str) -> bool:
        return loader == 'train' and self._part.fraction < 1

    def _keep(
        self, loader: str, is_split: bool, by_class: bool = False
    ) -> Callable[[int], bool]:
        """Tell by its number whether an image is used; classes are cut elsewhere."""
        part = self._part._replace(fraction=1.0) if by_class else self._part
        if loader == 'val':
            return (lambda number: True) if is_split else part.is_test
        if is_split:
            return part.is_taken
        return lambda number: not part.is_test(number) and part.is_taken(number)

    def _file(self, name: str) -> Path:
        folder = self._out / ('data_fast' if self._fast else 'data')
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def _read(self, name: str, backbone: dict[str, Any] | None = None) -> Config:
        self.base = str(home() / 'mm_configs' / f'{name}.py')
        with no_messages():  # of mmdet and mmseg, which it imports
            return read_config(self.base, backbone=backbone, imports=False)


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


def _pair(side: Any) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else tuple(side)
