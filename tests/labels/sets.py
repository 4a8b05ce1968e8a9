"""Small labeled sets that are sound, for the tests to break or bend."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ('zebra', 'tortoise')
WIDTH, HEIGHT = 40, 30
LOAD = dict(type='LoadImageFromFile')


def photo(file, seed=0, size=(WIDTH, HEIGHT), **options):
    """Write smooth noise."""
    file.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(coarse).resize(size, Image.BICUBIC).save(file, **options)


def square(box):
    """A polygon around a box."""
    x, y, w, h = box
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


class Objects:
    """Two photos with three objects to train, one photo with one object to validate.

    ``train`` and ``val`` are the contents of the annotation files, for changes.
    ``parts`` are labels and images by split where they are of another layout.
    """

    masks = True
    BOXES = ([5, 6, 10, 12], [20, 3, 8, 9], [1, 2, 30, 20])

    def __init__(self, root: Path) -> None:
        self.root, self.parts, seed = root, {}, 0
        for split, names in (('train', ('a', 'b')), ('val', ('c',))):
            images = [
                dict(id=i, file_name=f'{name}.jpg', width=WIDTH, height=HEIGHT)
                for i, name in enumerate(names, 1)
            ]
            for name in names:
                seed += 1
                photo(root / split / f'{name}.jpg', seed)
            count = 3 if split == 'train' else 1
            annotations = [
                dict(
                    id=11 + i,
                    image_id=1 + i // 2,
                    category_id=7 + i % 2,
                    bbox=list(box),
                    area=box[2] * box[3],
                    iscrowd=0,
                    segmentation=square(box),
                )
                for i, box in enumerate(self.BOXES[:count])
            ]
            categories = [dict(id=7 + i, name=name) for i, name in enumerate(CLASSES)]
            content = dict(images=images, annotations=annotations)
            setattr(self, split, dict(content, categories=categories))

    def file(self, split='train') -> Path:
        """Path of an annotation file, or what stands for it."""
        if split in self.parts:
            return self.parts[split][0]
        return self.root / 'annotations' / f'{split}.json'

    def write(self) -> None:
        """Write the annotation files that are not there yet."""
        if self.parts:
            return
        self.file().parent.mkdir(exist_ok=True)
        for split in ('train', 'val'):
            if not self.file(split).exists():
                self.file(split).write_text(json.dumps(getattr(self, split)))

    def config(self) -> dict:
        """What tools/train.py would read."""
        cfg = dict(default_scope='mmdet', model=dict(roi_head=dict(bbox_head={})))
        for split in ('train', 'val'):
            cfg[f'{split}_dataloader'] = dict(dataset=self.dataset(split))
            cfg[f'{split}_evaluator'] = dict(
                type='CocoMetric', ann_file=str(self.file(split)), metric='bbox'
            )
        return cfg

    def dataset(self, split='train') -> dict:
        """Config of a split."""
        images = self.parts[split][1] if self.parts else self.root / split
        load = dict(type='LoadAnnotations', with_bbox=True, with_mask=self.masks)
        return dict(
            type='CocoDataset',
            ann_file=str(self.file(split)),
            data_prefix=dict(img=str(images)),
            metainfo=dict(classes=CLASSES),
            pipeline=[LOAD, load],
        )


class Maps:
    """Two photos with maps of two classes to train, one to validate."""

    def __init__(self, root: Path, splits=(('train', 'ab'), ('val', 'c'))) -> None:
        self.root, seed = root, 0
        for split, names in dict(splits).items():
            for name in names:
                seed += 1
                photo(root / 'images' / split / f'{name}.jpg', seed)
                self.save(self.halves(), name, split)

    def halves(self, left=0, right=1) -> np.ndarray:
        """Numbers: the left three quarters, and the rest."""
        numbers = np.full((HEIGHT, WIDTH), left, np.uint8)
        numbers[:, 30:] = right
        return numbers

    def map(self, name='a', split='train', suffix='.png') -> Path:
        """Path of a map."""
        return self.root / 'masks' / split / f'{name}{suffix}'

    def save(self, numbers, name='a', split='train', mode=None, **options) -> None:
        """Write a map."""
        self.map(name, split).parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(np.asarray(numbers))
        image = image.convert(mode) if mode else image
        image.save(self.map(name, split), **options)

    def write(self) -> None:
        """All is written already."""

    def config(self) -> dict:
        """What tools/train.py would read."""
        head = dict(num_classes=2)
        cfg = dict(default_scope='mmseg', model=dict(decode_head=head))
        for split in ('train', 'val'):
            cfg[f'{split}_dataloader'] = dict(dataset=self.dataset(split))
        return cfg

    def dataset(self, split='train', **values) -> dict:
        """Config of a split."""
        images, maps = (str(self.root / kind / split) for kind in ('images', 'masks'))
        return dict(
            type='BaseSegDataset',
            data_prefix=dict(img_path=images, seg_map_path=maps),
            metainfo=dict(classes=CLASSES, palette=[(1, 2, 3)] * 2),
            pipeline=[LOAD, dict(type='LoadAnnotations', **values)],
        )


class Folders:
    """Two classes of three photos to train and two to validate."""

    def __init__(self, root: Path) -> None:
        self.root, seed = root, 0
        for split, count in (('train', 3), ('val', 2)):
            for name in CLASSES:
                for i in range(count):
                    seed += 1
                    photo(root / split / name / f'{i}.jpg', seed)

    def write(self) -> None:
        """All is written already."""

    def config(self) -> dict:
        """What tools/train.py would read."""
        model = dict(head=dict(num_classes=2))
        cfg = dict(default_scope='ccmim', model=model)
        for split in ('train', 'val'):
            data = str(self.root / split)
            dataset = dict(type='LabeledImages', data=data, transform=[])
            cfg[f'{split}_dataloader'] = dict(dataset=dataset)
        return cfg
