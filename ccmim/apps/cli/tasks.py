"""Configs that evaluate a backbone on labeled data, derived from mm_configs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ccmim.apps.cli.dense_tasks import detection_config, segmentation_config
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.probing import most_pixels
from ccmim.apps.cli.task_setting import Part, TaskSetting
from ccmim.classification.labels import FolderLabels, open_labels
from ccmim.files import write_file
from ccmim.labels.cut import list_classes
from ccmim.labels.layouts import Classes, Instances, Labeled

_FAST_LABELED = 400  # images of k-NN


class Tasks(TaskSetting):
    """Writes configs for a backbone."""

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
        (self.out / 'configs').mkdir(parents=True, exist_ok=True)
        file = self.out / 'configs' / f'{name}.py'
        self.part = part or Part()
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
            return detection_config(self, data, name)
        return segmentation_config(self, data, name)

    def probe_side(self, photos: Sequence[str | Path]) -> int | list[int]:
        """Choose the side at which k-NN and linear probe look at photos.

        Raises:
            Mistake: If it was asked for, and patches do not fit into it.
        """
        own, patch = self.architecture.img_size, self.architecture.patch_size
        if self.side is None:
            most = max(most_pixels(photos) // patch, 1) * patch
            return own if max(_pair(own)) <= most else most
        if self.side % patch:
            near = max(patch, round(self.side / patch) * patch)
            raise Mistake(
                f'--image-size {self.side} must be a multiple of {patch}, the side of '
                'the patches',
                f'for instance --image-size {near}',
            )
        return self.side

    def _probe(self, data: Classes, name: str) -> Config:
        """Make the config of k-NN and linear probe."""
        cfg = self.read('small/knn_vitt_cifar10')
        options, labels = self.options(), FolderLabels(str(data.train))
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
            if self.fast or data.test is None:
                dataset.data = str(self.file(f'{name}_{loader}.txt'))
                keep = self.keep(loader, data.test is not None, by_class=True)
                most = _FAST_LABELED if self.fast else None
                list_classes(folder, classes, Path(dataset.data), keep, most)
        if self.part.fraction < 1:
            cfg.train_dataloader.dataset.label_ratio = self.part.fraction
        cfg.test_dataloader = cfg.val_dataloader
        return cfg

    def _finetuned(self, data: Classes, name: str) -> Config:
        """Make the config that fine-tunes a classifier, on the data of the probe."""
        probe = self._probe(data, name)
        cfg = self.read('small/finetune_vitt_cifar10')
        options = dict(probe.model.backbone)
        cfg.model.backbone.update(
            {k: options[k] for k in self.options() if k in options},
            init_cfg=dict(type='Pretrained', checkpoint=None),
        )
        if self.architecture.class_token is False:
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
        if self.steps:
            cfg.train_cfg.max_epochs = max(1, self.steps * batch // max(1, count))
        cfg.auto_scale_lr.enable = True
        cfg.test_dataloader = cfg.val_dataloader
        return cfg


def _pair(side: Any) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else tuple(side)
