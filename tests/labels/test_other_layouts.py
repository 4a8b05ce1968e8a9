"""YOLO, Pascal VOC, LabelMe, CVAT, Roboflow, Cityscapes: read right, or a line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ccmim.labels import LabelError
from ccmim.labels.judge import judge, require_good
from ccmim.labels.layouts import NoLabelsError, find_labels
from tests.labels.conftest import TRANSFER
from tests.labels.sets import CLASSES, HEIGHT, WIDTH, Objects, photo, square
from tests.labels.test_odd_sets import assert_objects, assert_one_line

pytest.importorskip('mmdet')
pytestmark = pytest.mark.downstream


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
                values = [
                    v / (HEIGHT if i % 2 else WIDTH) for i, v in enumerate(values)
                ]
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
            text = (
                f'<annotation><filename>{name}</filename><size><width>{WIDTH}</width>'
            )
            text += f'<height>{HEIGHT}</height></size>'
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
            content = dict(
                shapes=shapes, imagePath=name, imageHeight=HEIGHT, imageWidth=WIDTH
            )
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


LAYOUTS = {
    'YOLO': (yolo, False),
    'YOLO, by splits': (lambda made: yolo(made, nested=True), False),
    'YOLO with polygons': (lambda made: yolo(made, polygons=True), True),
    'Pascal VOC': (voc, False),
    'LabelMe': (labelme, True),
    'CVAT': (cvat, False),
    'CVAT with masks': (lambda made: cvat(made, masks=True), True),
    'Roboflow': (roboflow, True),
}


def other(make, tmp_path):
    """A set in another layout, with its parts for the config of tools/train.py."""
    made = Objects(tmp_path / 'set')
    make(made)
    data = find_labels(made.root)
    made.parts, made.masks = dict(train=data.train, val=data.test), data.with_masks
    return made


@pytest.mark.parametrize('name', LAYOUTS)
def test_other_layouts_train_the_same_objects(name, tmp_path, ask):
    make, with_masks = LAYOUTS[name]
    made = other(make, tmp_path)
    assert made.masks is with_masks
    answers = ask(made)
    assert_objects(answers, with_masks)
    model = answers.configs[TRANSFER].model.type
    assert model == ('MaskRCNN' if with_masks else 'FasterRCNN')


def _line(file, text):
    return lambda root: (root / file).write_text(text)


def _change(old, new):
    def change(root):
        file = root / 'train/annotations.xml'
        file.write_text(file.read_text().replace(old, new))

    return change


BROKEN = {
    'a class beyond the names': (
        yolo,
        _line('labels/train/a.txt', '0 .5 .5 .2 .2\n2 .5 .5 .2 .2'),
        'a.txt, line 2: class 2, and there are 2 names',
    ),
    'pixels in place of shares': (
        yolo,
        _line('labels/train/a.txt', '0 20 15 8 8'),
        'a.txt, line 1: 20 is no fraction of the image',
    ),
    'words': (
        yolo,
        _line('labels/train/a.txt', 'zebra .5 .5 .2 .2'),
        "a.txt, line 1: 'zebra .5 .5 .2 .2' are no numbers",
    ),
    'NaN': (yolo, _line('labels/train/a.txt', '0 nan .5 .2 .2'), 'are no numbers'),
    'too few numbers': (
        yolo,
        _line('labels/train/a.txt', '0 .5 .5 .2'),
        'a.txt, line 1 has 4 numbers',
    ),
    'a label without a photo': (
        yolo,
        _line('labels/train/z.txt', '0 .5 .5 .2 .2'),
        'z.txt has no image of its name',
    ),
    'no names': (
        yolo,
        lambda root: (root / 'data.yaml').unlink(),
        'no names of classes',
    ),
    'cut XML': (voc, _line('Annotations/a.xml', '<annotation><obj'), 'a.xml is no XML'),
    'a box of words': (
        voc,
        _line(
            'Annotations/a.xml',
            '<annotation><object><name>zebra</name><bndbox><xmin>one</xmin></bndbox>'
            '</object></annotation>',
        ),
        'a.xml: an object without numbers for its box',
    ),
    'a listed file that is missing': (
        voc,
        lambda root: (root / 'Annotations/b.xml').unlink(),
        'b.xml does not exist',
    ),
    'a circle': (
        labelme,
        lambda root: (root / 'train/a.json').write_text(
            (root / 'train/a.json').read_text().replace('polygon', 'circle', 1)
        ),
        'a.json: a circle is neither polygon nor box',
    ),
    'a polyline': (cvat, _change('box', 'polyline'), 'a polyline of a.jpg is no box'),
    'a turned box': (cvat, _change('occluded="0"', 'rotation="9.5"'), 'is turned'),
    'a box without a side': (cvat, _change('xtl', 'xlt'), 'a box of a.jpg has no num'),
    'CVAT of a video': (cvat, _change('<image', '<track/><image'), 'is of a video'),
    'runs that are too long': (
        lambda made: cvat(made, masks=True),
        _change('rle="0', 'rle="9'),
        'a mask of a.jpg has no numbers that make one',
    ),
}


@pytest.mark.parametrize('name', BROKEN)
def test_what_is_wrong_in_other_layouts_is_named(name, tmp_path, ask):
    make, harm, text = BROKEN[name]
    made = other(make, tmp_path)
    harm(made.root)
    assert_one_line(made, ask(made), text)


def test_cityscapes_is_known_by_its_names(tmp_path):
    for split in ('train', 'val'):
        for folder, name in (
            ('leftImg8bit', 'ulm_0_leftImg8bit.png'),
            ('gtFine', 'ulm_0_gtFine_labelTrainIds.png'),
            ('gtFine', 'ulm_0_gtFine_color.png'),
        ):
            photo(tmp_path / folder / split / 'ulm' / name)
        numbers = np.zeros((HEIGHT, WIDTH), np.uint8)
        numbers[0], numbers[1] = 18, 255
        file = f'gtFine/{split}/ulm/ulm_0_gtFine_labelTrainIds.png'
        Image.fromarray(numbers).save(tmp_path / file)
    data = find_labels(tmp_path)
    assert len(data.classes) == 19
    assert [report.images for report in judge(data)] == [1, 1]
    require_good(data)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_maps_of_another_kind_are_no_photos(split, tmp_path):
    """Nothing falls through to a weaker guess."""
    photo(tmp_path / 'images' / split / 'a.jpg')
    (tmp_path / 'masks' / split).mkdir(parents=True)
    np.save(tmp_path / 'masks' / split / 'a.npy', np.zeros(3))
    with pytest.raises(LabelError, match=r'has no map .*a.png .holds 1 .npy'):
        find_labels(tmp_path)


def test_photos_alone_have_no_labels(image_folder):
    with pytest.raises(NoLabelsError):
        find_labels(image_folder / 'part0')
