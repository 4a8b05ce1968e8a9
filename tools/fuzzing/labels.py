"""Annotation files of every layout, with the photos that belong to them."""

import json
import random
from pathlib import Path
from typing import Any

from mmengine.config import Config
from PIL import Image
from pycocotools import mask

from ccmim.engine.settings import check_config
from ccmim.labels import LabelError
from ccmim.labels.judge import judge
from ccmim.labels.layouts import find_labels
from fuzzing.changes import changed_bytes, harmed
from fuzzing.pictures import pictures

WIDTH, HEIGHT = 48, 40  # of the photos
_VOC = """<annotation><filename>a.jpg</filename>
<size><width>48</width><height>40</height><depth>3</depth></size>
<object><name>zebra</name><difficult>0</difficult><bndbox><xmin>6</xmin>
<ymin>7</ymin><xmax>15</xmax><ymax>18</ymax></bndbox></object></annotation>
"""
_BOX = '<box label="zebra" xtl="5.0" ytl="6.0" xbr="15.0" ybr="18.0"></box>'
_CVAT = """<annotations><version>1.1</version>
<image id="0" name="a.jpg" width="48" height="40">
<polygon label="lion" points="20,3;28,3;28,12;20,12"></polygon>
<mask label="lion" rle="4, 6, 4, 6" left="1" top="2" width="10" height="2"></mask>
</image></annotations>
"""
_WORDS = (
    'nan',
    'inf',
    '-1',
    '1e400',
    '9' * 40,
    '',
    'x',
    '0x1',
    '\0',
    '&#0;',
    'é',
    '1,2',
)


def try_labels(draw: random.Random, folder: Path) -> str | None:
    """Judge a folder of labels, one of whose files is damaged."""
    make = draw.choice([_coco, _coco, _coco, _panoptic, _yolo, _voc, _labelme, _cvat])
    config = make(draw, folder)
    try:
        reports = check_config(config) if config else judge(find_labels(folder))
        errors = [r.error() for r in reports if r.problems]
    except LabelError as error:
        errors = [str(error)]
    for error in errors:
        assert error.isprintable(), error
        assert len(error) < 1500, error
    return errors[0] if errors else None


def coco() -> dict[str, Any]:
    """Three objects on two photos, with a mask of each kind."""
    square = [[20, 3, 28, 3, 28, 12, 20, 12]]
    runs = dict(size=[HEIGHT, WIDTH], counts=[206, 12, 28, 12, 1662])
    packed = mask.frPyObjects([[1, 2, 31, 2, 31, 22, 1, 22]], HEIGHT, WIDTH)[0]
    masks = (square, runs, dict(packed, counts=packed['counts'].decode()))
    boxes = ([20, 3, 8, 9], [5, 6, 2, 12], [1, 2, 30, 20])
    return dict(
        images=[
            dict(id=i, file_name=f'{name}.jpg', width=WIDTH, height=HEIGHT)
            for i, name in enumerate('ab', 1)
        ],
        annotations=[
            dict(
                id=11 + i,
                image_id=1 + i // 2,
                category_id=7 + i % 2,
                bbox=box,
                area=box[2] * box[3],
                iscrowd=0,
                segmentation=drawn,
            )
            for i, (box, drawn) in enumerate(zip(boxes, masks, strict=True))
        ],
        categories=[dict(id=7, name='zebra'), dict(id=8, name='lion')],
    )


def _coco(draw: random.Random, folder: Path) -> None:
    _photos(folder / 'train', 'ab')
    (folder / 'annotations').mkdir()
    text = json.dumps(harmed(draw, coco()))
    if draw.random() < 0.1:
        text = changed_bytes(draw, text.encode()).decode('latin-1')
    (folder / 'annotations/train.json').write_text(text)


def _panoptic(draw: random.Random, folder: Path) -> Config:
    _photos(folder, 'a')
    Image.new('RGB', (WIDTH, HEIGHT), (1, 0, 0)).save(folder / 'a.png')
    part = dict(id=1, category_id=7, bbox=[0, 0, 48, 40], area=1920, iscrowd=0)
    content = dict(
        images=[dict(id=1, file_name='a.jpg', width=WIDTH, height=HEIGHT)],
        annotations=[dict(image_id=1, file_name='a.png', segments_info=[part])],
        categories=[
            dict(id=7, name='lion', isthing=1),
            dict(id=8, name='sky', isthing=0),
        ],
    )
    (folder / 'a.json').write_text(json.dumps(harmed(draw, content)))
    names = dict(thing_classes=('lion',), stuff_classes=('sky',))
    dataset = dict(
        type='CocoPanopticDataset',
        ann_file=str(folder / 'a.json'),
        data_prefix=dict(img=str(folder), seg=str(folder)),
        metainfo=dict(classes=('lion', 'sky'), **names),
    )
    loader = dict(dataset=dataset)
    return Config(dict(default_scope='mmdet', train_dataloader=loader))


def _yolo(draw: random.Random, folder: Path) -> None:
    _photos(folder / 'images/train', 'a')
    (folder / 'labels/train').mkdir(parents=True)
    boxes = '0 0.5 0.5 0.2 0.3\n1 0.3 0.3 0.2 0.2\n'
    lines = draw.choice([boxes, '1 0.1 0.1 0.3 0.1 0.3 0.4\n'])
    names = '{names: [zebra, lion], nc: 2}\n'
    if draw.random() < 0.3:
        names = _text(draw, names)
    else:
        lines = _text(draw, lines)
    (folder / 'labels/train/a.txt').write_bytes(_bytes(lines))
    (folder / 'data.yaml').write_bytes(_bytes(names))


def _voc(draw: random.Random, folder: Path) -> None:
    _photos(folder / 'JPEGImages', 'a')
    (folder / 'Annotations').mkdir()
    (folder / 'Annotations/a.xml').write_bytes(_bytes(_text(draw, _VOC)))


def _cvat(draw: random.Random, folder: Path) -> None:
    _photos(folder / 'images', 'a')
    objects = _CVAT[_CVAT.index('<polygon') : _CVAT.index('</image>')]
    text = draw.choice([_CVAT, _CVAT.replace(objects, _BOX)])
    (folder / 'annotations.xml').write_bytes(_bytes(_text(draw, text)))


def _labelme(draw: random.Random, folder: Path) -> None:
    _photos(folder, 'a')
    shapes = [
        dict(label='zebra', points=[[1, 2], [30, 2], [30, 9]], shape_type='polygon'),
        dict(label='lion', points=[[1, 2], [9, 9]], shape_type='rectangle'),
    ]
    shapes = [draw.choice(shapes)] * 2
    content = dict(version='5', imagePath='a.jpg', imageWidth=WIDTH, imageHeight=HEIGHT)
    content = harmed(draw, dict(content, shapes=shapes))
    (folder / 'a.json').write_text(json.dumps(content))


def _photos(folder: Path, names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f'{name}.jpg').write_bytes(pictures()[0][1])


def _text(draw: random.Random, text: str) -> str:
    """Put odd words in the place of numbers and names, or change bytes."""
    if draw.random() < 0.3:
        return changed_bytes(draw, text.encode()).decode('utf-8', 'surrogateescape')
    words = [i for i in range(len(text)) if text[i].isalnum()]
    for _ in range(draw.choice([1, 1, 2])):
        at = draw.choice(words) % len(text)
        end = at
        while end < len(text) and text[end].isalnum():
            end += 1
        text = text[:at] + draw.choice(_WORDS) + text[end:]
    return text


def _bytes(text: str) -> bytes:
    return text.encode('utf-8', 'surrogateescape')
