"""The sound sets of sets.py in the layouts of other programs."""

import itertools
import json
import shutil

import numpy as np
from PIL import Image

from tests.labels.sets import CLASSES, HEIGHT, WIDTH, photo, square


def _boxes(made, split):
    content = getattr(made, split)
    for image in content['images']:
        own = [a for a in content['annotations'] if a['image_id'] == image['id']]
        yield image['file_name'], [(a['category_id'] - 7, a['bbox']) for a in own]


def yolo(made, polygons=False, nested=False):
    """Images and labels by split, or splits of them as Roboflow has it."""
    for split in ('train', 'val'):
        parts = (split, 'images') if nested else ('images', split)
        images = made.root.joinpath(*parts)
        labels = made.root.joinpath(*[p.replace('images', 'labels') for p in parts])
        labels.mkdir(parents=True)
        images.parent.mkdir(exist_ok=True)
        files = sorted((made.root / split).glob('*.jpg'))
        images.mkdir()
        for file in files:
            file.rename(images / file.name)
        for name, objects in _boxes(made, split):
            lines = []
            for number, (x, y, w, h) in objects:
                values = [x + w / 2, y + h / 2, w, h]
                values = square((x, y, w, h))[0] if polygons else values
                sides = itertools.cycle((WIDTH, HEIGHT))
                values = [v / side for v, side in zip(values, sides, strict=False)]
                lines.append(' '.join(map(str, [number, *values])))
            (labels / name).with_suffix('.txt').write_text('\n'.join(lines))
    (made.root / 'data.yaml').write_text('nc: 2\nnames: [zebra, tortoise]\n')


def voc(made):
    """Counted from one, the last pixel inside."""
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (made.root / folder).mkdir(parents=True)
    for split in ('train', 'val'):
        for name, objects in _boxes(made, split):
            (made.root / split / name).rename(made.root / 'JPEGImages' / name)
            text = f'<annotation><filename>{name}</filename><size>'
            text += f'<width>{WIDTH}</width><height>{HEIGHT}</height></size>'
            for number, (x, y, w, h) in objects:
                text += f'<object><name>{CLASSES[number]}</name><bndbox><xmin>{x + 1}'
                text += f'</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax>'
                text += f'<ymax>{y + h}</ymax></bndbox></object>'
            file = (made.root / 'Annotations' / name).with_suffix('.xml')
            file.write_text(f'{text}</annotation>')
        names = [name.removesuffix('.jpg') for name, _ in _boxes(made, split)]
        file = made.root / f'ImageSets/Main/{split}.txt'
        file.write_text('\n'.join(names))
        shutil.rmtree(made.root / split)


def labelme(made):
    """A file for each photo, beside it, with one rectangle among the polygons."""
    for split in ('train', 'val'):
        for name, objects in _boxes(made, split):
            shapes = []
            for number, box in objects:
                points = np.reshape(square(box)[0], (-1, 2)).tolist()
                shape = dict(label=CLASSES[number], shape_type='polygon', points=points)
                shapes.append(shape)
            content = dict(imagePath=name, imageHeight=HEIGHT, imageWidth=WIDTH)
            content['shapes'] = shapes
            file = (made.root / split / name).with_suffix('.json')
            file.write_text(json.dumps(content))


def cvat(made, masks=False):
    """One file a split beside its images, as the exports of two tasks."""
    for split in ('train', 'val'):
        text = '<?xml version="1.0"?>\n<annotations><version>1.1</version>'
        for number, (name, objects) in enumerate(_boxes(made, split)):
            text += f'<image id="{number}" name="{name}" width="{WIDTH}" '
            text += f'height="{HEIGHT}"><tag label="day"/>'
            for category, (x, y, w, h) in objects:
                label = f'label="{CLASSES[category]}" occluded="0"'
                if masks:  # of a part one pixel wider than the box
                    runs = ', '.join(['0', *[str(w), '1'] * h])
                    text += f'<mask {label} rle="{runs}" left="{x}" top="{y}" '
                    text += f'width="{w + 1}" height="{h}"></mask>'
                else:
                    text += f'<box {label} xtl="{x}.0" ytl="{y}.0" xbr="{x + w}.0" '
                    text += f'ybr="{y + h}.0"><attribute name="a">b</attribute></box>'
            text += '</image>'
        (made.root / split).rename(made.root / 'images')
        (made.root / split).mkdir()
        (made.root / 'images').rename(made.root / split / 'images')
        file = made.root / split / 'annotations.xml'
        file.write_text(f'{text}</annotations>')


def roboflow(made):
    for split in ('train', 'val'):
        file = made.root / split / '_annotations.coco.json'
        file.write_text(json.dumps(getattr(made, split)))


def cityscapes(root):
    """One photo a split with its maps: of numbers and of colors."""
    for split in ('train', 'val'):
        for folder, name in (
            ('leftImg8bit', 'ulm_0_leftImg8bit.png'),
            ('gtFine', 'ulm_0_gtFine_labelTrainIds.png'),
            ('gtFine', 'ulm_0_gtFine_color.png'),
        ):
            photo(root / folder / split / 'ulm' / name)
        numbers = np.zeros((HEIGHT, WIDTH), np.uint8)
        numbers[0], numbers[1] = 18, 255
        file = f'gtFine/{split}/ulm/ulm_0_gtFine_labelTrainIds.png'
        Image.fromarray(numbers).save(root / file)
