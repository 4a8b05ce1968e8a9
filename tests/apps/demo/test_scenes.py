from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ccmim.apps.demo import scenes as toy_scenes
from ccmim.apps.demo.scenes import (
    CATEGORIES,
    PALETTE,
    SEG_CLASSES,
    toy_scene,
    write_toy_scenes,
)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('toy') / 'scenes'
    return write_toy_scenes(folder, 12, 4, size=96, seed=3, num_unlabeled=3)


@pytest.fixture(scope='module')
def scenes():
    return [toy_scene(0, 'training', index, 96) for index in range(60)]


@pytest.fixture(scope='module', params=['training', 'validation'])
def split(request):
    return request.param


def _files(folder):
    paths = sorted(path for path in Path(folder).rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_layout_is_that_of_ade20k_and_coco(root):
    names = set(_files(root))
    expected = {'toy_scenes.json'}
    expected |= {f'unlabelled/unlabelled_{i:06d}.jpg' for i in range(3)}
    for split, count in (('training', 12), ('validation', 4)):
        expected |= {f'annotations/instances_{split}.json'}
        for i in range(count):
            expected |= {f'images/{split}/{split}_{i:06d}.jpg'}
            expected |= {f'annotations/{split}/{split}_{i:06d}.png'}
    assert names == expected


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(root, tmp_path):
    settings = dict(size=96, num_unlabeled=3)
    same = _files(write_toy_scenes(tmp_path / 'same', 12, 4, seed=3, **settings))
    assert same == _files(root)
    other = _files(write_toy_scenes(tmp_path / 'other', 2, 1, seed=4, **settings))
    for name, data in other.items():
        assert data != same[name], name


def test_the_photo_is_the_scene_up_to_compression(root):
    photo = np.asarray(Image.open(root / 'images/training/training_000002.jpg'))
    scene = toy_scene(3, 'training', 2, 96).image
    assert photo.shape == (96, 96, 3)
    assert abs(photo.astype(int) - scene).mean() < 8


def test_coco_reads_instances_with_tight_boxes_and_true_areas(root, split):
    coco = COCO(root / f'annotations/instances_{split}.json')
    assert [cat['name'] for cat in coco.loadCats(coco.getCatIds())] == [*CATEGORIES]
    assert len(coco.anns) > 2 * len(coco.imgs)
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        rle = coco_mask.encode(np.asfortranarray(mask))
        assert annotation['bbox'] == coco_mask.toBbox(rle).tolist()
        assert annotation['area'] == mask.sum() >= 5
        assert annotation['iscrowd'] == 0


def test_instances_and_class_maps_tell_the_same(root, split):
    coco = COCO(root / f'annotations/instances_{split}.json')
    for image in coco.loadImgs(coco.getImgIds()):
        name = image['file_name'].replace('.jpg', '.png')
        with Image.open(root / 'annotations' / split / name) as file:
            assert file.mode == 'L'
            classes = np.asarray(file)
        assert classes.shape == (image['height'], image['width'])
        assert classes.max() <= len(SEG_CLASSES)
        covered = np.zeros_like(classes)
        for annotation in coco.loadAnns(coco.getAnnIds(image['id'])):
            mask = coco.annToMask(annotation)
            assert set(classes[mask > 0]) == {annotation['category_id']}
            covered += mask
        # No pixel belongs to two instances, and no object is without instance.
        in_category = (classes > 0) & (classes <= len(CATEGORIES))
        assert np.array_equal(covered, in_category)


def test_scenes_hold_two_to_four_objects_of_the_stated_sizes(scenes):
    counts = [len(scene.objects) for scene in scenes]
    assert min(counts) == 2
    assert max(counts) == 4
    sides = []
    for scene in scenes:
        for _, mask in scene.objects:
            rows, columns = np.nonzero(mask)
            sides.append(max(np.ptp(rows), np.ptp(columns)) + 1)
    # Smaller ones are cut off or covered in part; antialiasing adds a pixel.
    assert max(sides) <= 0.65 * 96 + 2
    assert np.mean(np.array(sides) < 0.3 * 96) < 0.2


def test_every_class_occurs_and_some_pixels_have_none(scenes):
    counts = np.sum([np.bincount(s.classes.ravel(), minlength=9) for s in scenes], 0)
    assert len(counts) == 1 + len(SEG_CLASSES) == 1 + len(PALETTE)
    assert counts.min() > 0.005 * counts.sum()
    assert counts[0] < 0.1 * counts.sum()


def test_running_again_does_nothing_and_other_settings_replace(tmp_path):
    root = write_toy_scenes(tmp_path / 'deep' / 'scenes', 2, 1, size=32)
    (root / 'images' / 'training' / 'training_000000.jpg').write_bytes(b'kept')
    write_toy_scenes(root, 2, 1, size=32)
    assert _files(root)['images/training/training_000000.jpg'] == b'kept'
    write_toy_scenes(root, 1, 1, size=32)
    files = _files(root)
    assert files['images/training/training_000000.jpg'] != b'kept'
    assert 'images/training/training_000001.jpg' not in files
    assert [path.name for path in root.parent.iterdir()] == ['scenes']


def test_an_interrupted_run_leaves_what_was_there(tmp_path, monkeypatch):
    root = write_toy_scenes(tmp_path / 'scenes', 1, 1, size=32)
    before = _files(root)

    def interrupted(seed, split, index, size):
        if split == 'validation':
            raise KeyboardInterrupt
        return toy_scene(seed, split, index, size)

    monkeypatch.setattr(toy_scenes, 'toy_scene', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_toy_scenes(root, 2, 2, size=32)
    assert _files(tmp_path) == {f'scenes/{name}': data for name, data in before.items()}


@pytest.mark.parametrize('name', ['images/mine.jpg', 'notes.txt'])
def test_a_folder_of_somebody_else_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('mine')
    with pytest.raises(FileExistsError, match='holds other files'):
        write_toy_scenes(tmp_path, 1, 1, size=32)
    assert _files(tmp_path) == {name: b'mine'}
    root = write_toy_scenes(tmp_path / 'scenes', 1, 1, size=32)
    (root / 'notes.txt').write_text('mine')  # among scenes
    with pytest.raises(FileExistsError, match='holds other files'):
        write_toy_scenes(root, 2, 1, size=32)
    assert (root / 'notes.txt').read_text() == 'mine'


def test_the_tool_writes_what_the_function_writes(tmp_path, run_tool):
    options = ['--train=2', '--val=1', '--unlabeled=1', '--size=40', '--seed=7']
    code, said, _ = run_tool('make_toy_scenes.py', tmp_path / 'a', *options)
    assert code == 0
    assert str(tmp_path / 'a') in said
    expected = write_toy_scenes(tmp_path / 'b', 2, 1, 40, 7, 1)
    assert _files(tmp_path / 'a') == _files(expected)
