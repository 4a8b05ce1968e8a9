"""YOLO, Pascal VOC, LabelMe, CVAT, Roboflow, Cityscapes: read right, or a line."""

import os

import numpy as np
import pytest

from ccmim.labels import LabelError
from ccmim.labels.convert import yolo_names
from ccmim.labels.judge import judge, require_good
from ccmim.labels.layouts import NoLabelsError, find_labels
from tests.labels.conftest import TRANSFER
from tests.labels.layouts import cityscapes, cvat, labelme, roboflow, voc, yolo
from tests.labels.sets import Objects, photo
from tests.labels.test_odd_sets import assert_objects, assert_one_line

pytest.importorskip('mmdet')

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


def _line(text, file='labels/train/a.txt'):
    return lambda root: (root / file).write_text(text)


def _change(old, new, file='train/annotations.xml'):
    def change(root):
        text = (root / file).read_text().replace(old, new)
        (root / file).write_text(text)

    return change


def _gone(file):
    return lambda root: (root / file).unlink()


def _pipe(file):
    return lambda root: (_gone(file)(root), os.mkfifo(root / file))


NO_BOX = '<annotation><object><name>zebra</name><bndbox><xmin>one</xmin></bndbox>'
NO_BOX += '</object></annotation>'
XML = 'Annotations/a.xml'

BROKEN = {
    'a class beyond the names': (
        yolo,
        _line('0 .5 .5 .2 .2\n2 .5 .5 .2 .2'),
        'a.txt, line 2: class 2, and there are 2 names',
    ),
    'pixels in place of shares': (yolo, _line('0 20 15 8 8'), '20 is no fraction of'),
    'words': (yolo, _line('zebra .5 .5 .2 .2'), "'zebra .5 .5 .2 .2' are no numbers"),
    'NaN': (yolo, _line('0 nan .5 .2 .2'), 'are no numbers'),
    'too few numbers': (yolo, _line('0 .5 .5 .2'), 'a.txt, line 1 has 4 numbers'),
    'a label without a photo': (
        yolo,
        _line('0 .5 .5 .2 .2', 'labels/train/z.txt'),
        'z.txt has no image of its name',
    ),
    'no names': (yolo, _gone('data.yaml'), 'no names of classes'),
    'deep names': (yolo, _line('[' * 3000, 'data.yaml'), 'it is nested too deeply'),
    'a pipe of names': (yolo, _pipe('data.yaml'), 'data.yaml is no regular file'),
    'a pipe of boxes': (voc, _pipe(XML), 'a.xml is no regular file'),
    'a pipe of all': (cvat, _pipe('train/annotations.xml'), 's.xml is no regular file'),
    'cut XML': (voc, _line('<annotation><obj', XML), 'a.xml is no XML'),
    'a box of words': (voc, _line(NO_BOX, XML), 'an object without numbers for'),
    'a listed file gone': (voc, _gone('Annotations/b.xml'), 'b.xml does not exist'),
    'a circle': (
        labelme,
        _change('polygon', 'circle', 'train/a.json'),
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
    cityscapes(tmp_path)
    data = find_labels(tmp_path)
    assert len(data.classes) == 19
    assert [report.images for report in judge(data)] == [1, 1]
    require_good(data)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_maps_of_another_kind_are_no_photos(split, tmp_path):
    photo(tmp_path / 'images' / split / 'a.jpg')
    (tmp_path / 'masks' / split).mkdir(parents=True)
    np.save(tmp_path / 'masks' / split / 'a.npy', np.zeros(3))
    with pytest.raises(LabelError, match=r'has no map .*a.png .holds 1 .npy'):
        find_labels(tmp_path)


def test_without_labels_or_a_folder_nothing_is_found(image_folder, tmp_path):
    with pytest.raises(NoLabelsError):
        find_labels(image_folder / 'part0')
    with pytest.raises(LabelError):
        find_labels(tmp_path / 'nowhere')


def test_names_of_yolo_may_have_texts_among_the_numbers(tmp_path):
    (tmp_path / 'data.yaml').write_text('names: {1: b, x: c, 0: a}')
    assert yolo_names(tmp_path) == ['a', 'b', 'c']
