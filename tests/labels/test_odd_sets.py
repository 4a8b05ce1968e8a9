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
import sys
import unicodedata

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
from ccmim.labels.read import LabelError
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
from tests.processes import start

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

CONFUSED = float('nan')
FORGED = 'x\n\x1b[31merror: all is well'
SHOWN = r'x\n\x1b[31merror: all is well'


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
    return np.diff([0, *ends.tolist(), flat.size]).tolist()


def packed(box):
    from pycocotools import mask

    whole = dict(size=[HEIGHT, WIDTH], counts=runs(box))
    return mask.frPyObjects(whole, HEIGHT, WIDTH)['counts'].decode()


def mask(counts):
    """Give the first annotation run lengths."""
    return one(segmentation=dict(size=[HEIGHT, WIDTH], counts=counts))


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


def turned(number):
    """Tell by EXIF that the first photo is turned."""
    exif = Image.Exif()
    exif[0x0112] = number
    return lambda s: photo(s.root / 'train/a.jpg', 1, exif=exif)


def other_order(s):
    s.val['categories'].reverse()
    for i, category in enumerate(s.val['categories']):
        category['id'] = 40 + i
    s.val['annotations'][0]['category_id'] = 41


NFC, NFD = (unicodedata.normalize(form, 'é.jpg') for form in ('NFC', 'NFD'))
BOX = Objects.BOXES[0]
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
    'name in NFC, file in NFD': rename('train', 'a.jpg', NFD, NFC),
    'name in NFD, file in NFC': rename('train', 'a.jpg', NFC, NFD),
    'a double ending': rename('train', 'a.jpg', 'a.jpg.jpg', 'a.jpg.jpg'),
    'another order and other ids of categories': other_order,
    'hidden files of macOS': hidden,
    'addresses, as LVIS': address,
    'run lengths': mask(runs(BOX)),
    'packed run lengths': mask(packed(BOX)),
    'ids as texts': lambda s: [i.update(id=str(i['id'])) for i in s.train['images']],
    'a photo upside down': turned(3),
    'unknown keys': one(attributes=dict(occluded=True), track_id=3),
}
TRUTH = {'a.jpg': [0, 1], 'b.jpg': [2]}  # numbers of the boxes


def load(dataset, scope):
    with DefaultScope.overwrite_default_scope(scope):
        return DATASETS.build(dataset)


@pytest.mark.parametrize('name', GOOD_OBJECTS)
def test_odd_objects_are_read_right(name, tmp_path, ask):
    """And nothing is written beside them: others may write there, or nobody."""
    made = Objects(tmp_path / 'set')
    GOOD_OBJECTS[name](made)
    made.write()
    before = sorted(made.root.rglob('*'))
    assert_objects(ask(made))
    assert sorted(made.root.rglob('*')) == before


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


def image(**values):
    """Change the first image."""
    return lambda s: s.train['images'][0].update(values)


def boxes(**values):
    """Change all annotations."""
    return lambda s: [a.update(values) for a in s.train['annotations']]


def gone(name):
    return lambda s: (s.root / name).unlink()


def capitals(s):
    (s.root / 'train/a.jpg').rename(s.root / 'train/a.JPG')


def forged_class(s):
    for split in (s.train, s.val):
        split['categories'][1]['name'] = FORGED


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


def no_photo(s):
    for name in ('a.jpg', 'b.jpg'):
        damage('train', name, 0)(s)


def pipe(s):
    (s.root / 'train/a.jpg').unlink()
    os.mkfifo(s.root / 'train/a.jpg')


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


MISSING = 'images that are not in'
NO_RUNS = 'runs do not fill their image'
BAD_OBJECTS = {
    'runs by rows': (mask(runs(BOX, by_rows=True)), 'runs go along rows'),
    'packed runs of wrong length': (mask('52203'), NO_RUNS),
    'packed runs that end inside a number': (mask('PPYo'), NO_RUNS),
    'runs of wrong length': (mask([5, 6]), NO_RUNS),
    'empty runs': (mask([HEIGHT * WIDTH]), 'masks that are empty'),
    'two points': (one(segmentation=[[1, 2, 3, 4]]), 'fewer than three points'),
    'no points': (one(segmentation=[[]]), 'fewer than three points'),
    'a flat polygon': (one(segmentation=[1, 2, 3, 4, 5, 6]), 'lists of finite numbers'),
    'a negative box': (one(bbox=[5, 6, -10, 12]), 'boxes that are empty'),
    'no box with a size': (boxes(bbox=[5, 6, 0, 0]), 'boxes that are empty'),
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
    'neither box nor mask': (one(bbox=None, segmentation=None), 'are not four numbers'),
    'an image id twice': (twice('id'), 'that several images have (give each its own)'),
    'an image twice': (twice('file'), 'more than once (list each once): 1 (a.jpg)'),
    'no height': (drop('height'), "(id 1) has no 'height'"),
    'width -1': (image(width=-1), 'width=-1: it must be greater than 0'),
    'another size': (image(width=WIDTH - 3), 'a.jpg is 40 x 30, not 37 x 30'),
    'turned by EXIF': (turned(6), "color_type='color_ignore_orientation'"),
    'a class name twice': (same_name, 'given twice'),
    'a class of another case in val': (val_class('Zebra'), 'did you mean Zebra?'),
    'a class in val alone': (val_class('lion'), 'no category of the file'),
    'a class name that writes a line': (forged_class, f'(rename them): 1 ({SHOWN})'),
    'the first image missing': (gone('train/a.jpg'), MISSING),
    'an image of val missing': (gone('val/c.jpg'), MISSING),
    'the suffix in capitals': (capitals, MISSING),
    'a pipe as a photo': (pipe, MISSING),
    'a cut photo in val': (damage('val', 'c.jpg', -30), '1 (c.jpg: cut short)'),
    'an empty photo in val': (damage('val', 'c.jpg', 0), '(c.jpg: cannot be read)'),
    'no good photo in train': (no_photo, 'or leave them out): 2 (a.jpg: cannot be'),
    'cut JSON': (cut_json, 'train.json is no JSON: it is cut short'),
    'empty JSON': (raw(''), 'train.json is no JSON: it is empty'),
    'deep JSON': (raw('[' * 100_000), 'train.json is no JSON: it is nested too deeply'),
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


def all_maps(convert=lambda numbers: numbers, **options):
    """Save all maps in another way."""

    def change(s):
        for name, split in ('a', 'train'), ('b', 'train'), ('c', 'val'):
            s.save(convert(s.halves()), name, split, **options)

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
    inner = cfg.train_dataloader.dataset
    dataset = load(dict(type='ccmim.SeededSamples', dataset=inner), scope)
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


def test_numbers_of_maps_are_neither_scaled_nor_cut():
    """PIL makes 17 of a 1 of four bits."""
    from io import BytesIO

    from ccmim.labels.maps import read_map

    assert read_map(png_of_four_bits([[0, 1], [2, 15]])).tolist() == [[0, 1], [2, 15]]
    Image.fromarray(np.array([[0, 300]], np.uint16)).save(deep := BytesIO(), 'png')
    assert read_map(deep.getvalue()).tolist() == [[0, 300]]


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


def test_a_pipe_among_maps_is_named(tmp_path):
    made = Maps(tmp_path / 'set')
    made.map().unlink()
    os.mkfifo(made.map())
    with pytest.raises(LabelError, match=r'a.png is no regular file'):
        find_labels(made.root)


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


def red_map(s):
    Image.new('RGB', (WIDTH, HEIGHT), 'red').save(s.map())


def beyond(number):
    """A number beyond the classes."""

    def change(s):
        numbers = s.halves().astype(np.uint16)
        numbers[0, 0] = number
        s.save(numbers, 'b')

    return change


ALL_IGNORED = all_maps(convert=lambda n: n * 0 + np.uint8(255))
BAD_MAPS = {
    '0 and 255': (all_maps(convert=lambda n: n * 255), 'set LoadAnnotations(values='),
    'colors': (red_map, 'a.png is a picture in colors'),
    'a map of val missing': (gone('masks/val/c.png'), 'maps that do not exist'),
    'another size': (lambda s: s.save(s.halves()[1:]), 'than their image: 1 (a)'),
    'a cut map': (damage('masks', 'train/a.png', 60), 'a.png is cut short'),
    'a map that is none': (lambda s: s.map().write_bytes(b'none'), 'cannot be read'),
    'another suffix': (lambda s: photo(s.root / 'images/train/d.JPG'), 'mmseg leaves'),
    'a cut photo in val': (damage('images', 'val/c.jpg', -30), '1 (c: cut short)'),
    'all ignored': (ALL_IGNORED, 'in which all is ignored'),
    'a number beyond': (beyond(9), '(b: 9)'),
    'a number beyond a byte': (beyond(300), '(b: 300)'),
}


def one_class_empty(s):
    shutil.rmtree(s.root / 'train/tortoise')
    (s.root / 'train/tortoise').mkdir()


def one_class(s):
    for split in ('train', 'val'):
        shutil.rmtree(s.root / split / 'tortoise')


def twin(s):
    shutil.copy(s.root / 'train/zebra/0.jpg', s.root / 'train/tortoise')


def other_case(s):
    (s.root / 'val/zebra').rename(s.root / 'val/Zebra')


NEW = {TRAIN: 'there are 3 classes, and the head tells 2 apart'}
NEW |= dict.fromkeys([TRANSFER, CHECK], 'new: lion')
BAD_FOLDERS = {
    'one class': (one_class, 'there is one class, zebra, and nothing to tell it from'),
    'one photo in two classes': (twin, 'photos that are in two classes'),
    'classes that differ in case': (other_case, 'missing: zebra; new: Zebra'),
    'a class in val alone': (lambda s: photo(s.root / 'val/lion/0.jpg', 99), NEW),
    'an empty class': (one_class_empty, 'classes without images: 1 (tortoise)'),
}


BAD = {Objects: BAD_OBJECTS, Maps: BAD_MAPS, Folders: BAD_FOLDERS}


@pytest.mark.parametrize(('kind', 'name'), [(k, n) for k in BAD for n in BAD[k]])
def test_broken_labels_are_named_before_the_first_step(kind, name, tmp_path, ask):
    made = kind(tmp_path / 'set')
    change, text = BAD[kind][name]
    change(made)
    made.write()
    if kind is Maps:  # else the largest number tells how many classes there are
        (made.root / 'classes.txt').write_text('\n'.join(CLASSES))
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
    more = dict(made.train['annotations'][0], bbox=[5, 6, 10, 12])
    made.train['annotations'] += [dict(more, id=100 + i) for i in range(1000)]
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
    asked, real = [], room._reports
    counted = lambda *a, **k: asked.append(1) or real(*a, **k)  # noqa: E731
    monkeypatch.setattr(room, '_reports', counted)
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
        ('model.roi_head.bbox_head.num_classes', 80, 'are 2 classes: set it to 2'),
        (
            'model.roi_head.bbox_head.loss_cls',
            dict(type='CrossEntropyLoss', class_weight=[1, 2]),
            'class_weight has 2 numbers, and there are 2 classes and the background: g',
        ),
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
    objects, images = made.val['annotations'], made.val['images']
    objects.append(dict(objects[0], id=0, category_id=40, bbox=[2, 3, 9, 9]))
    del objects[-1]['segmentation']
    images.append(dict(images[0], id=2, file_name='d.jpg'))
    objects.append(dict(objects[0], id=8, image_id=2))
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
    found = dict(
        bboxes=torch.tensor([one['bbox'] for one in truth], dtype=torch.float),
        labels=torch.tensor([one['bbox_label'] for one in truth]),
        scores=torch.ones(2),
    )
    sample = dict(img_id=1, ori_shape=(HEIGHT, WIDTH), pred_instances=found)
    metric.process({}, [sample])
    assert metric.evaluate(1)['coco/bbox_mAP'] == 1.0


@pytest.mark.slow
def test_real_processes_end_as_those_asked_here(tmp_path, weights):
    made = Objects(tmp_path / 'set')
    change, text = BAD_OBJECTS['two points']
    change(made)
    made.write()
    started = {}
    for name, words in words_for(made, weights, tmp_path).items():
        command = ['-m', 'ccmim'] if name.startswith('ccmim') else [name]
        started[name] = start(sys.executable, *command, *words)
    errors = {n: errors_in(run.communicate()[0], n) for n, run in started.items()}
    ends = {name: run.returncode for name, run in started.items()}
    assert_one_line(made, Answers(ends, errors, {}), text)
