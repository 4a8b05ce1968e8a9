"""Make a panoptic dataset in COCO format from segmentation maps and objects.

    CCMIM_DATA=data python tools/make_panoptic.py data/street_panoptic \
        --maps mm_configs/small/upernet_vitt_camvid.py \
        --things car pedestrian bicyclist \
        --objects mm_configs/small/mask_rcnn_vitt_penn_fudan.py \
        --rename person=pedestrian

Of maps, each connected region of a class in --things is an object, so that two that
touch are one; the other classes are regions (stuff). Where the annotations of objects
end, nothing is known: those pixels have no class. Photos are linked, not copied.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image
from pycocotools import mask as coco_mask
from scipy import ndimage
from tqdm import tqdm

from ccmim.engine.config import read_config
from ccmim.engine.settings import StartHook, clear_errors
from ccmim.files import Parser, replacing, say, write_file
from ccmim.labels.maps import read_map
from ccmim.operators.panopticapi import id2rgb

SPLITS = ('train', 'val')
SMALLEST = 16  # pixels of an object cut out of a map: less is noise of its drawing
Segments = list[tuple[str, np.ndarray]]  # class and pixels (H, W)


def main() -> None:
    """Read the command line, and write both splits."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to make')
    parser.add_argument('--maps', help='config of a segmentor, whose data are read')
    parser.add_argument('--objects', help='config of a detector with masks, likewise')
    parser.add_argument('--things', nargs='+', default=[], help='of the maps')
    parser.add_argument('--rename', nargs='+', default=[], metavar='OLD=NEW')
    parser.add_argument('--debug', action='store_true', help='show tracebacks')
    args = parser.parse_args()
    with clear_errors(StartHook(), args.debug):
        make(args)


def make(args: argparse.Namespace) -> None:
    """Write what the command line asks for.

    Raises:
        ValueError: If it cannot be made of the data.
    """
    names = dict(pair.partition('=')[::2] for pair in args.rename)
    maps = read_config(args.maps) if args.maps else None
    objects = read_config(args.objects) if args.objects else None
    if maps is None:
        raise ValueError(
            'without --maps there are no regions (stuff): a set of objects is for '
            'mm_configs/detection'
        )
    classes = [names.get(c, c) for c in _dataset(maps, 'train').metainfo['classes']]
    things = [names.get(c, c) for c in args.things]
    if unknown := [c for c in things if c not in classes]:
        raise ValueError(
            f'--things {unknown[0]} is no class of the maps: {", ".join(classes)}'
        )
    if objects is not None:
        own = _dataset(objects, 'train').metainfo['classes']
        things += [names.get(c, c) for c in own if names.get(c, c) not in things]
    stuff = [c for c in classes if c not in things]
    if not stuff:
        raise ValueError(
            'all classes are in --things: leave at least one out, for regions (stuff)'
        )
    categories = [
        dict(id=i, name=name, isthing=int(name in things))
        for i, name in enumerate([*things, *stuff], 1)
    ]
    if args.out.exists():
        raise ValueError(f'{args.out} is there already: give another --out')
    for split in SPLITS:
        photos = [*_of_maps(maps, split, things, names)]
        photos += [*_of_objects(objects, split, names)] if objects else []
        _write(args.out, split, photos, categories)
        say(f'{split}: {len(photos)} photos in {args.out / split}')


def _write(
    out: Path,
    split: str,
    photos: Sequence[tuple[str, Any]],
    categories: Sequence[Mapping[str, Any]],
) -> None:
    numbers = {category['name']: category['id'] for category in categories}
    folder = out / 'annotations' / f'panoptic_{split}'
    folder.mkdir(parents=True)
    (out / split).mkdir()
    images, annotations = [], []
    for number, (path, read) in enumerate(tqdm(photos, split, disable=None), 1):
        name = f'{number:05}.jpg'
        os.symlink(os.path.abspath(path), out / split / name)
        segments, infos = read(), []
        height, width = segments[0][1].shape if segments else _shape(path)
        drawn = np.zeros((height, width), int)
        for segment, (_, pixels) in enumerate(segments, 1):
            drawn[pixels] = segment  # the later of two that overlap
        for segment, (kind, _) in enumerate(segments, 1):
            rows, columns = np.nonzero(drawn == segment)
            if not len(rows):
                continue
            left, top = int(columns.min()), int(rows.min())
            sides = [int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]
            infos.append(
                dict(
                    id=segment,
                    category_id=numbers[kind],
                    area=len(rows),
                    bbox=[left, top, *sides],
                    iscrowd=0,
                )
            )
        map_name = name.replace('.jpg', '.png')
        with replacing(folder / map_name) as part:
            Image.fromarray(id2rgb(drawn)).save(part)
        images.append(dict(id=number, file_name=name, height=height, width=width))
        annotations.append(
            dict(image_id=number, file_name=map_name, segments_info=infos)
        )
    content = dict(images=images, annotations=annotations, categories=categories)
    write_file(out / 'annotations' / f'panoptic_{split}.json', json.dumps(content))


def _of_maps(
    cfg: Config, split: str, things: Sequence[str], names: Mapping[str, str]
) -> Iterator[tuple[str, Any]]:
    data = _dataset(cfg, split)
    classes = [names.get(c, c) for c in data.metainfo['classes']]
    first = int(bool(data.reduce_zero_label))

    def read(path: str) -> Segments:
        values = read_map(Path(path).read_bytes()).astype(int) - first
        segments: Segments = []
        for number, name in enumerate(classes):
            pixels = values == number
            if name not in things:
                segments += [(name, pixels)] if pixels.any() else []
                continue
            parts, count = ndimage.label(pixels, np.ones((3, 3)))
            each = [parts == i for i in range(1, count + 1)]
            segments += [(name, part) for part in each if part.sum() >= SMALLEST]
        return segments

    for i in range(len(data)):
        info = data.get_data_info(i)
        yield info['img_path'], lambda path=info['seg_map_path']: read(path)


def _of_objects(
    cfg: Config, split: str, names: Mapping[str, str]
) -> Iterator[tuple[str, Any]]:
    data = _dataset(cfg, split)
    classes = [names.get(c, c) for c in data.metainfo['classes']]

    def read(info: Mapping[str, Any]) -> Segments:
        sides = info['height'], info['width']
        return [
            (classes[one['bbox_label']], _pixels(one['mask'], *sides))
            for one in info['instances']
            if not one['ignore_flag'] and one.get('mask')
        ]

    for i in range(len(data)):
        info = data.get_data_info(i)
        yield info['img_path'], lambda info=info: read(info)


def _pixels(mask: Any, height: int, width: int) -> np.ndarray:
    if isinstance(mask, list):
        mask = coco_mask.merge(coco_mask.frPyObjects(mask, height, width))
    elif isinstance(mask['counts'], list):
        mask = coco_mask.frPyObjects(mask, height, width)
    return coco_mask.decode(mask).astype(bool)


def _dataset(cfg: Config, split: str) -> Any:
    dataset = {**cfg[f'{split}_dataloader'].dataset, 'pipeline': []}
    dataset.pop('filter_cfg', None)  # all photos
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return DATASETS.build(dataset)


def _shape(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.height, image.width


if __name__ == '__main__':
    main()
