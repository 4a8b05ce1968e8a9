"""Odd sets give right labels, broken ones a line: the same from all who read them.

Each set is a sound one, bent or broken in one place. ``ccmim check``, ``ccmim
transfer`` and tools/train.py are asked, all in this process (``conftest.py``); a test
fails where they disagree. What the configs of the last two load for training is
compared with the truth.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, DefaultScope
from PIL import Image

from ccmim.data import SampleKey
from ccmim.data.bad_files import BadFiles, read_bad_files
from ccmim.engine.adopt import adopt_readers
from ccmim.engine.settings import check_labels
from ccmim.labels.judge import judge, require_good
from ccmim.labels.layouts import find_labels
from tests.labels.conftest import (
    ASKED,
    CHECK,
    TRAIN,
    TRANSFER,
    Answers,
    errors_in,
    words_for,
)
from tests.labels.sets import CLASSES, HEIGHT, WIDTH, Folders, Maps, Objects, photo

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
pytestmark = pytest.mark.downstream

CONFUSED = float('nan')
FORGED = 'x\n\x1b[31merror: all is well'


def one(**values):
    """Change the first annotation."""
    return lambda s: s.train['annotations'][0].update(values)


def without(*keys):
    """Take keys from every annotation."""
    return lambda s: [a.pop(k) for a in s.train['annotations'] for k in keys]


def runs(box, by_rows=False):
    """Run lengths of a box, as a list."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
    flat = mask.ravel(order='C' if by_rows else 'F')
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends.tolist(), flat.size]).tolist()
    return dict(size=[HEIGHT, WIDTH], counts=counts)


def packed(box):
    from pycocotools import mask

    found = mask.frPyObjects(runs(box), HEIGHT, WIDTH)
    return dict(found, counts=found['counts'].decode())


def rename(split, old, new, listed):
    def change(s):
        (s.root / split / old).rename(s.root / split / new)
        getattr(s, split)['images'][0]['file_name'] = listed

    return change


def latin(s):
    for split in ('train', 'val'):
        content = getattr(s, split)
        content['info'] = dict(contributor='José')
        s.write()
        text = json.dumps(content, ensure_ascii=False)
        s.file(split).write_bytes(text.encode('latin-1'))


def marked(s):
    s.write()
    text = s.file().read_text()
    s.file().write_text(text, encoding='utf-8-sig')


def windows(s):
    (s.root / 'train/sub').mkdir()
    rename('train', 'a.jpg', 'sub/a.jpg', 'sub\\a.jpg')(s)


def hidden(s):
    s.write()
    for file in [p for p in s.root.rglob('*') if p.is_file()]:
        file.with_name(f'._{file.name}').write_bytes(b'\0\5\x16\7')


def address(s):
    for image in s.train['images']:
        image['coco_url'] = f'http://images.cocodataset.org/{image.pop("file_name")}'
    shutil.copytree(s.root / 'train', s.root / 'train/images.cocodataset.org')


def upside_down(s):
    exif = Image.Exif()
    exif[0x0112] = 3
    photo(s.root / 'train/a.jpg', 1, exif=exif)


def other_order(s):
    s.val['categories'].reverse()
    for i, category in enumerate(s.val['categories']):
        category['id'] = 40 + i
    s.val['annotations'][0]['category_id'] = 41


GOOD_OBJECTS = {
    'as they are': lambda s: None,
    'annotation id 0': one(id=0),
    'annotation ids twice': one(id=12),
    'no annotation ids': without('id'),
    'no area, no iscrowd': without('area', 'iscrowd'),
    'area 0': one(area=0),
    'no boxes beside masks': without('bbox'),
    'empty boxes beside masks': one(bbox=[]),
    'byte order mark': marked,
    'Latin-1': latin,
    'Windows paths': windows,
    'name in NFC, file in NFD': rename(
        'train',
        'a.jpg',
        unicodedata.normalize('NFD', 'é.jpg'),
        unicodedata.normalize('NFC', 'é.jpg'),
    ),
    'name in NFD, file in NFC': rename(
        'train',
        'a.jpg',
        unicodedata.normalize('NFC', 'é.jpg'),
        unicodedata.normalize('NFD', 'é.jpg'),
    ),
    'a double ending': rename('train', 'a.jpg', 'a.jpg.jpg', 'a.jpg.jpg'),
    'another order and other ids of categories': other_order,
    'hidden files of macOS': hidden,
    'addresses, as LVIS': address,
    'run lengths': one(segmentation=runs(Objects.BOXES[0])),
    'packed run lengths': one(segmentation=packed(Objects.BOXES[0])),
    'ids as texts': lambda s: [i.update(id=str(i['id'])) for i in s.train['images']],
    'a photo upside down': upside_down,
    'unknown keys': one(attributes=dict(occluded=True), track_id=3),
}
TRUTH = {'a.jpg': [0, 1], 'b.jpg': [2]}  # numbers of the boxes


def load(dataset, scope):
    with DefaultScope.overwrite_default_scope(scope):
        return DATASETS.build(dataset)


@pytest.mark.parametrize('name', GOOD_OBJECTS)
def test_odd_objects_are_read_right(name, tmp_path, ask):
    made = Objects(tmp_path / 'set')
    GOOD_OBJECTS[name](made)
    made.write()
    assert_objects(ask(made))


def assert_objects(answers, masks=True):
    """All would train, on what was drawn."""
    for train, val in loaded(answers, 'mmdet'):
        assert_truth(train, masks)
        assert [names_of(sample, val) for sample in val] == [['zebra']]


def loaded(answers, scope):
    """Data sets of train and val of the two commands that train."""
    assert answers.sound, answers
    whole = answers.configs[TRAIN].train_dataloader.dataset.pipeline
    for cfg in answers.configs.values():
        loaders = cfg.train_dataloader, cfg.get('val_dataloader') or cfg.test_dataloader
        sets = [loader.dataset for loader in loaders]
        for dataset in sets:
            dataset.pipeline = whole  # recipes cut photos at random
        yield [load(dataset, scope) for dataset in sets]


def names_of(sample, data):
    return [data.metainfo['classes'][i] for i in sample['gt_bboxes_labels']]


def test_faulty_entries_that_the_check_lets_pass_can_be_loaded(tmp_path):
    """One in a thousand: without a mask it is ignored, without a box left out."""
    made = Objects(tmp_path / 'set')
    first, second, _ = made.train['annotations']
    first['segmentation'], second['segmentation'], second['bbox'] = [], None, None
    made.write()
    cfg = Config(made.config())
    adopt_readers(cfg)
    first, second = load(cfg.train_dataloader.dataset, 'mmdet')
    assert first['gt_bboxes_labels'].tolist() == [0]
    assert first['gt_ignore_flags'].tolist() == [True]
    assert second['gt_ignore_flags'].tolist() == [False]
    assert second['gt_masks'].areas.tolist() == [30 * 20]


def assert_truth(data, with_masks=True):
    """Compare what mmdet gives to training with the boxes that were drawn."""
    assert len(data) == 2
    for numbers, sample in zip(TRUTH.values(), data, strict=True):
        assert names_of(sample, data) == [CLASSES[n % 2] for n in numbers]
        boxes = [Objects.BOXES[n] for n in numbers]
        corners = [[x, y, x + w, y + h] for x, y, w, h in boxes]
        np.testing.assert_allclose(sample['gt_bboxes'].tensor, corners, atol=0.51)
        if with_masks:
            areas = sample['gt_masks'].areas
            np.testing.assert_allclose(areas, [w * h for *_, w, h in boxes], atol=1)


def drop(key):
    return lambda s: s.train['images'][0].pop(key)


def raw(text):
    def change(s):
        s.write()
        s.file().write_text(text)

    return change


def cut_json(s):
    s.write()
    text = s.file().read_text()
    s.file().write_text(text[: len(text) // 2])


def damage(split, name, keep):
    def change(s):
        file = s.root / split / name
        file.write_bytes(file.read_bytes()[:keep])

    return change


def pipe(s):
    (s.root / 'train/a.jpg').unlink()
    os.mkfifo(s.root / 'train/a.jpg')


def on_its_side(s):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(s.root / 'train/a.jpg', 1, exif=exif)


def predictions(s):
    s.write()
    found = [dict(image_id=1, category_id=7, bbox=[1, 2, 3, 4], score=0.5)]
    s.file().write_text(json.dumps(found))


def panoptic(s):
    for a in s.train['annotations']:
        a.clear()
        a.update(image_id=1, file_name='a.png', segments_info=[])


def keypoints(s):
    for a in s.train['annotations']:
        del a['bbox'], a['segmentation']
        a['keypoints'] = [1, 2, 2]


def val_class(name):
    return lambda s: s.val['categories'][0].update(name=name)


def same_name(s):
    s.train['categories'][1]['name'] = 'zebra'


def twice(key):
    def change(s):
        s.train['images'].append(dict(s.train['images'][0], id=1 if key == 'id' else 9))
        if key == 'id':
            photo(s.root / 'train/d.jpg', 9)
            s.train['images'][-1]['file_name'] = 'd.jpg'

    return change


BAD_OBJECTS = {
    'runs by rows': (
        one(segmentation=runs(Objects.BOXES[0], by_rows=True)),
        'runs go along rows',
    ),
    'packed runs of wrong length': (
        one(segmentation=dict(size=[HEIGHT, WIDTH], counts='52203')),
        'runs do not fill their image',
    ),
    'packed runs that end inside a number': (
        one(segmentation=dict(size=[HEIGHT, WIDTH], counts='PPYo')),
        'runs do not fill their image',
    ),
    'runs of wrong length': (
        one(segmentation=dict(size=[HEIGHT, WIDTH], counts=[5, 6])),
        'runs do not fill their image',
    ),
    'empty runs': (
        one(segmentation=dict(size=[HEIGHT, WIDTH], counts=[HEIGHT * WIDTH])),
        'masks that are empty',
    ),
    'two points': (one(segmentation=[[1, 2, 3, 4]]), 'fewer than three points'),
    'no points': (one(segmentation=[[]]), 'fewer than three points'),
    'a flat polygon': (one(segmentation=[1, 2, 3, 4, 5, 6]), 'lists of finite numbers'),
    'a negative box': (one(bbox=[5, 6, -10, 12]), 'boxes that are empty'),
    'no box with a size': (
        lambda s: [a.update(bbox=[5, 6, 0, 0]) for a in s.train['annotations']],
        'boxes that are empty',
    ),
    'NaN in a box': (one(bbox=[CONFUSED, 6, 10, 12]), 'finite number'),
    'NaN in a polygon': (one(segmentation=[[CONFUSED] * 6]), 'finite numbers'),
    'an infinite area': (one(area=float('inf')), 'finite number'),
    'a box elsewhere': (one(bbox=[25, 15, 10, 12]), 'boxes elsewhere than their masks'),
    'a box of corners': (one(bbox=[5, 6, 15, 18]), 'boxes given as corners'),
    'a box of texts': (one(bbox=['a', 'b', 'c', 'd']), 'bbox='),
    'iscrowd is a text': (one(iscrowd='maybe'), 'iscrowd='),
    'an unknown image': (one(image_id=99), 'of images that are not in the file'),
    'an unknown category': (one(category_id=99), 'categories that are not in the file'),
    'an empty mask among others': (one(segmentation=[]), 'objects without a mask'),
    'neither box nor mask': (
        lambda s: s.train['annotations'][0].update(bbox=None, segmentation=None),
        'boxes that are not four numbers',
    ),
    'an image id twice': (
        twice('id'),
        'ids that several images have (give each its own): 1 (1)',
    ),
    'an image twice': (
        twice('file'),
        'listed more than once (list each once): 1 (a.jpg)',
    ),
    'no height': (drop('height'), "(id 1) has no 'height'"),
    'width -1': (
        lambda s: s.train['images'][0].update(width=-1),
        'width=-1: it must be greater than 0',
    ),
    'another size': (
        lambda s: s.train['images'][0].update(width=WIDTH - 3),
        'a.jpg is 40 x 30, not 37 x 30',
    ),
    'turned by EXIF': (on_its_side, "color_type='color_ignore_orientation'"),
    'a class name twice': (same_name, 'given twice'),
    'a class of another case in val': (val_class('Zebra'), 'did you mean Zebra?'),
    'a class in val alone': (val_class('lion'), 'no category of the file'),
    'a class name that writes a line': (
        lambda s: [
            x.update(name=FORGED)
            for x in (s.train['categories'][1], s.val['categories'][1])
        ],
        r'control characters (rename them): 1 (x\n\x1b[31merror: all is well)',
    ),
    'the first image missing': (
        lambda s: (s.root / 'train/a.jpg').unlink(),
        'images that are not in',
    ),
    'an image of val missing': (
        lambda s: (s.root / 'val/c.jpg').unlink(),
        'images that are not in',
    ),
    'the suffix in capitals': (
        lambda s: (s.root / 'train/a.jpg').rename(s.root / 'train/a.JPG'),
        'images that are not in',
    ),
    'a cut photo in val': (
        damage('val', 'c.jpg', -30),
        'damaged images (copy them again, or leave them out): 1 (c.jpg: cut short)',
    ),
    'an empty photo in val': (damage('val', 'c.jpg', 0), '(c.jpg: cannot be read)'),
    'no good photo in train': (
        lambda s: [damage('train', f'{n}.jpg', 0)(s) for n in 'ab'],
        'damaged images (copy them again, or leave them out): 2 (a.jpg: cannot be',
    ),
    'a pipe as a photo': (pipe, 'images that are not in'),
    'cut JSON': (cut_json, 'train.json is no JSON: it is cut short'),
    'empty JSON': (raw(''), 'train.json is no JSON: it is empty'),
    'predictions': (predictions, 'train.json holds predictions (a results file)'),
    'panoptic': (panoptic, 'train.json holds panoptic segments'),
    'keypoints': (keypoints, 'train.json holds keypoints without boxes'),
    'no annotations': (lambda s: s.train['annotations'].clear(), 'no annotations'),
}


def assert_one_line(made, answers, text):
    """All three say the same, in a line that names the file."""
    assert answers.broken, answers
    texts = dict.fromkeys(ASKED, text) if isinstance(text, str) else text
    for name, (error, *_) in answers.errors.items():
        assert texts[name] in error, name
        # What ``ccmim check`` prints stands below the folder.
        assert str(made.root) in error or name == CHECK
    assert len(answers.errors[TRAIN]) == len(answers.errors[TRANSFER]) == 1


@pytest.mark.parametrize('name', BAD_OBJECTS)
def test_broken_objects_are_named_before_the_first_step(name, tmp_path, ask):
    made = Objects(tmp_path / 'set')
    change, text = BAD_OBJECTS[name]
    change(made)
    made.write()
    assert_one_line(made, ask(made), text)


def all_maps(**options):
    """Save all maps in another way."""

    def change(s):
        for split, names in (('train', 'ab'), ('val', 'c')):
            for name in names:
                numbers = s.halves()
                convert = options.get('convert', lambda values: values)
                saved = {k: v for k, v in options.items() if k != 'convert'}
                s.save(convert(numbers), name, split, **saved)

    return change


def suffix(ending):
    def change(s):
        for file in s.root.glob('masks/*/*.png'):
            file.rename(file.with_name(f'{file.stem}{ending}'))

    return change


GOOD_MAPS = {
    'as they are': lambda s: None,
    '16 bits': all_maps(convert=lambda n: n.astype(np.uint16)),
    '1 bit': all_maps(convert=lambda n: n > 0),
    '4 bits': all_maps(bits=4, mode='P'),
    'gray saved as RGB': all_maps(mode='RGB'),
    'gray with alpha': all_maps(mode='LA'),
    'hidden files of macOS': hidden,
}


def assert_halves(data):
    for sample in data:
        expected = np.zeros((HEIGHT, WIDTH))
        expected[:, 30:] = 1
        np.testing.assert_array_equal(sample['gt_seg_map'], expected)


@pytest.mark.parametrize('name', GOOD_MAPS)
def test_odd_maps_are_read_right(name, tmp_path, ask):
    made = Maps(tmp_path / 'set')
    GOOD_MAPS[name](made)
    for train, val in loaded(ask(made), 'mmseg'):
        assert (len(train), len(val)) == (2, 1)
        assert_halves(train)
        assert_halves(val)


@pytest.mark.parametrize('keep', [0, 60, -30, 'text'], ids=str)
@pytest.mark.parametrize('kind', [Objects, Maps])
def test_damaged_photos_are_replaced_in_training_and_listed(kind, keep, tmp_path, ask):
    made = kind(tmp_path / 'set')
    file = made.root / ('train/a.jpg' if kind is Objects else 'images/train/a.jpg')
    content = b'no photo' if keep == 'text' else file.read_bytes()[:keep]
    file.write_bytes(content)
    made.write()
    answers = ask(made, is_measured=keep == 0)
    # The photos are all that ``ccmim check`` finds fault with.
    assert answers.ends == {TRAIN: 'step', TRANSFER: 'step', CHECK: 1}
    assert not any(answers.errors.values())
    cfg = answers.configs[TRAIN]
    scope = cfg.default_scope
    dataset = load(
        dict(type='ccmim.SeededSamples', dataset=cfg.train_dataloader.dataset), scope
    )
    dataset.bad.files = BadFiles(tmp_path / 'bad_files.txt')
    good, shown = dataset[SampleKey(0, 0, 1)], dataset[SampleKey(0, 0, 0)]
    assert shown['img_path'] == good['img_path'] != str(file)
    np.testing.assert_array_equal(shown['img'], good['img'])
    if kind is Objects:
        assert shown['gt_bboxes_labels'].tolist() == [0]
        np.testing.assert_allclose(shown['gt_bboxes'].tensor, [[1, 2, 31, 22]])
    listed = read_bad_files(tmp_path / 'bad_files.txt')
    reason = {0: 'empty', 'text': 'not an image'}.get(keep, 'cut short')
    assert [*listed] == [str(file)]
    assert listed[str(file)].startswith(reason)


def test_grey_of_four_bits_is_not_scaled(tmp_path):
    """PIL makes 17 of a 1."""
    import cv2  # noqa: F401  # PIL writes no such PNG: made by hand

    from ccmim.labels.maps import read_map

    assert read_map(png_of_four_bits([[0, 1], [2, 15]])).tolist() == [[0, 1], [2, 15]]


def png_of_four_bits(rows):
    import struct
    import zlib

    def chunk(name, data):
        crc = struct.pack('>I', zlib.crc32(name + data))
        return struct.pack('>I', len(data)) + name + data + crc

    header = struct.pack('>IIBBBBB', len(rows[0]), len(rows), 4, 0, 0, 0, 0)
    lines = b''.join(bytes([0, row[0] << 4 | row[1]]) for row in rows)
    parts = ((b'IHDR', header), (b'IDAT', zlib.compress(lines)), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*part) for part in parts)


@pytest.mark.parametrize('ending', ['_L.png', '_mask.png', '.jpg.png'])
def test_maps_with_suffixes_are_found(ending, tmp_path):
    made = Maps(tmp_path / 'set')
    suffix(ending)(made)
    data = find_labels(made.root)
    assert data.suffixes == ('.jpg', ending)
    require_good(data)


def test_large_numbers_of_16_bits_are_not_cut(tmp_path):
    from ccmim.labels.maps import read_map

    numbers = np.array([[0, 300]], np.uint16)
    Image.fromarray(numbers).save(tmp_path / 'a.png')
    found = read_map((tmp_path / 'a.png').read_bytes())
    assert found.tolist() == [[0, 300]]


VALUES = {
    'binary': ([(0, 0), (255, 1)], lambda n: n * 255),
    'colors': (
        [((255, 0, 0), 0), ((0, 0, 255), 1)],
        lambda n: np.stack([255 * (n == 0), 0 * n, 255 * n], -1).astype(np.uint8),
    ),
}


@pytest.mark.parametrize('name', VALUES)
def test_values_mend_binary_maps_and_colors(name, tmp_path):
    values, convert = VALUES[name]
    made = Maps(tmp_path / 'set')
    all_maps(convert=convert)(made)
    cfg = Config(made.config())
    for split in ('train', 'val'):
        dataset = made.dataset(split, values=values)
        cfg[f'{split}_dataloader'].dataset = dataset
    adopt_readers(cfg)
    check_labels(cfg, 'train', 'val')
    assert_halves(load(cfg.train_dataloader.dataset, 'mmseg'))
    cfg.train_dataloader.dataset.pipeline[1]['values'] = values[:1]
    with pytest.raises(ValueError, match='values'):
        check_labels(cfg, 'train')


def cut_map(s):
    s.map().write_bytes(s.map().read_bytes()[:60])


BAD_MAPS = {
    '0 and 255': (all_maps(convert=lambda n: n * 255), 'set LoadAnnotations(values='),
    'colors': (
        lambda s: Image.new('RGB', (WIDTH, HEIGHT), 'red').save(s.map()),
        'a.png is a picture in colors',
    ),
    'a map of val missing': (
        lambda s: s.map('c', 'val').unlink(),
        'maps that do not exist',
    ),
    'another size': (
        lambda s: s.save(s.halves()[1:]),
        'maps of another size than their image: 1 (a)',
    ),
    'a cut map': (cut_map, 'a.png is cut short'),
    'a map that is none': (lambda s: s.map().write_bytes(b'none'), 'cannot be read'),
    'a photo of another suffix': (
        lambda s: photo(s.root / 'images/train/d.JPG'),
        'images that mmseg leaves out',
    ),
    'a cut photo in val': (
        damage('images', 'val/c.jpg', -30),
        'damaged images (copy them again, or leave them out): 1 (c: cut short)',
    ),
    'all ignored': (
        all_maps(convert=lambda n: n * 0 + np.uint8(255)),
        'in which all is ignored',
    ),
}


@pytest.mark.parametrize('name', BAD_MAPS)
def test_broken_maps_are_named_before_the_first_step(name, tmp_path, ask):
    made = Maps(tmp_path / 'set')
    change, text = BAD_MAPS[name]
    change(made)
    # The classes are the user's: else the largest number tells how many there are.
    (made.root / 'classes.txt').write_text('\n'.join(CLASSES))
    assert_one_line(made, ask(made), text)


@pytest.mark.parametrize('number', [9, 300])
def test_a_number_beyond_the_classes_is_named(number, tmp_path, ask):
    made = Maps(tmp_path / 'set')
    numbers = made.halves().astype(np.uint16)
    numbers[0, 0] = number
    made.save(numbers, 'b')
    (made.root / 'classes.txt').write_text('\n'.join(CLASSES))
    assert_one_line(made, ask(made), f'(b: {number})')


def one_class_empty(s):
    shutil.rmtree(s.root / 'train/tortoise')
    (s.root / 'train/tortoise').mkdir()


def one_class(s):
    for split in ('train', 'val'):
        shutil.rmtree(s.root / split / 'tortoise')


BAD_FOLDERS = {
    'one class': (one_class, 'there is one class, zebra, and nothing to tell it from'),
    'one photo in two classes': (
        lambda s: shutil.copy(s.root / 'train/zebra/0.jpg', s.root / 'train/tortoise'),
        'photos that are in two classes',
    ),
    'classes that differ in case': (
        lambda s: (s.root / 'val/zebra').rename(s.root / 'val/Zebra'),
        'missing: zebra; new: Zebra',
    ),
    'a class in val alone': (
        lambda s: photo(s.root / 'val/lion/0.jpg', 99),
        {
            TRAIN: 'there are 3 classes, and the head tells 2 apart',
            TRANSFER: 'new: lion',
            CHECK: 'new: lion',
        },
    ),
    'an empty class': (one_class_empty, 'classes without images: 1 (tortoise)'),
}


@pytest.mark.parametrize('name', BAD_FOLDERS)
def test_broken_class_folders_are_named_before_the_first_step(name, tmp_path, ask):
    made = Folders(tmp_path / 'set')
    change, text = BAD_FOLDERS[name]
    change(made)
    assert_one_line(made, ask(made), text)


def test_sound_class_folders_pass_and_twins_across_splits_are_noted(tmp_path, ask):
    made = Folders(tmp_path / 'set')
    shutil.copy(made.root / 'train/zebra/0.jpg', made.root / 'val/zebra/9.jpg')
    answers = ask(made)
    assert answers.sound, answers
    for cfg in answers.configs.values():
        data = load(cfg.train_dataloader.dataset, 'ccmim')
        names = [data.metainfo['classes'][number] for number in data.labels]
        assert names == ['tortoise'] * 3 + ['zebra'] * 3
    notes = judge(find_labels(made.root))[1].notes
    assert f'photos that are in train too: 1 ({made.root}/val/zebra/9.jpg)' in notes


def test_rare_faults_of_a_large_file_are_notes(tmp_path, ask):
    """COCO's own training file has two boxes without height."""
    made = Objects(tmp_path / 'set')
    for i in range(1000):
        made.train['annotations'].append(
            dict(made.train['annotations'][0], id=100 + i, bbox=[5, 6, 10, 12])
        )
    one(bbox=[5, 6, 10, 0])(made)
    made.write()
    assert ask(made).sound
    notes = judge(find_labels(made.root))[0].notes
    assert any(note.startswith('boxes that are empty') for note in notes)


def test_an_answer_is_kept_until_a_file_changes(tmp_path, monkeypatch, ask):
    import ccmim.engine.settings.labels as room

    made = Objects(tmp_path / 'set')
    made.write()
    assert ask(made).sound
    asked = []
    real = room._reports
    monkeypatch.setattr(
        room, '_reports', lambda *a, **k: asked.append(1) or real(*a, **k)
    )
    assert ask(made).sound
    assert asked == []
    (made.root / 'train/b.jpg').unlink()
    assert 'b.jpg' in ask(made).errors[TRAIN][0]
    assert asked == [1]


def test_a_bare_test_set_is_taken_where_predictions_are_written(tmp_path):
    made = Objects(tmp_path / 'set')
    made.val['annotations'].clear()
    made.write()
    cfg = Config(made.config())
    cfg.test_dataloader = cfg.val_dataloader
    evaluator = dict(type='CocoMetric', metric='bbox', outfile_prefix='out')
    cfg.test_evaluator = dict(evaluator, format_only=True)
    adopt_readers(cfg)
    check_labels(cfg, 'test')
    assert len(load(cfg.test_dataloader.dataset, 'mmdet')) == 1
    (made.root / 'val/c.jpg').unlink()
    with pytest.raises(ValueError, match='images that are not in'):
        check_labels(cfg, 'test')
    cfg.test_evaluator = evaluator
    with pytest.raises(ValueError, match=r'val.json holds no annotations'):
        check_labels(cfg, 'test')


@pytest.mark.parametrize(
    ('key', 'value', 'text'),
    [
        (
            'model.roi_head.bbox_head.num_classes',
            80,
            'there are 2 classes: set it to 2',
        ),
        (
            'model.roi_head.bbox_head.loss_cls',
            dict(type='CrossEntropyLoss', class_weight=[1, 2]),
            'loss_cls.class_weight has 2 numbers, and there are 2 classes and the '
            'background: give 3',
        ),
        ('val_evaluator.ann_file', 'other.json', 'is another file than the one of val'),
        ('train_dataloader.dataset.metainfo.classes', 'zebra', "written ('zebra',)"),
    ],
)
def test_settings_that_contradict_the_labels_are_named(key, value, text, tmp_path):
    made = Objects(tmp_path / 'set')
    made.write()
    cfg = Config(made.config())
    cfg.merge_from_dict({key: value})
    adopt_readers(cfg)
    with pytest.raises(ValueError, match=re.escape(text)):
        check_labels(cfg, 'train', 'val')


def test_perfect_predictions_score_one_whatever_the_ids_and_orders(tmp_path):
    """An id of 0 cost a quarter, other photos half, another order of categories all."""
    import torch

    made = Objects(tmp_path / 'set')
    other_order(made)
    made.val['annotations'].append(
        dict(made.val['annotations'][0], id=0, category_id=40, bbox=[2, 3, 9, 9])
    )
    del made.val['annotations'][-1]['segmentation']
    made.val['images'].append(dict(made.val['images'][0], id=2, file_name='d.jpg'))
    made.val['annotations'].append(dict(made.val['annotations'][0], id=8, image_id=2))
    made.write()
    shutil.copy(made.root / 'val/c.jpg', made.root / 'val/d.jpg')
    cfg = Config(made.config())
    cfg.val_dataloader.dataset.indices = 1
    adopt_readers(cfg)
    data = load(cfg.val_dataloader.dataset, 'mmdet')
    truth = data.get_data_info(0)['instances']
    with DefaultScope.overwrite_default_scope('mmdet'):
        metric = METRICS.build(cfg.val_evaluator)
    metric.dataset_meta = dict(classes=CLASSES)
    boxes = torch.tensor([one['bbox'] for one in truth], dtype=torch.float)
    found = dict(
        bboxes=boxes,
        scores=torch.ones(2),
        labels=torch.tensor([one['bbox_label'] for one in truth]),
    )
    sample = dict(img_id=1, ori_shape=(HEIGHT, WIDTH), pred_instances=found)
    metric.process({}, [sample])
    assert metric.evaluate(1)['coco/bbox_mAP'] == 1.0


def test_files_of_the_set_alone_are_read(tmp_path, ask):
    """A folder that others write is no place for what was found."""
    made = Objects(tmp_path / 'set')
    made.write()
    before = sorted(map(str, Path(made.root).rglob('*')))
    ask(made)
    assert sorted(map(str, Path(made.root).rglob('*'))) == before


@pytest.mark.slow
def test_real_processes_end_as_those_asked_here(tmp_path, weights):
    made = Objects(tmp_path / 'set')
    change, text = BAD_OBJECTS['two points']
    change(made)
    made.write()
    started = {}
    for name, words in words_for(made, weights, tmp_path).items():
        start = ['-m', 'ccmim'] if name.startswith('ccmim') else [name]
        started[name] = subprocess.Popen(
            [sys.executable, *start, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    errors = {n: errors_in(run.communicate()[0], n) for n, run in started.items()}
    ends = {name: run.returncode for name, run in started.items()}
    assert_one_line(made, Answers(ends, errors, {}), text)
