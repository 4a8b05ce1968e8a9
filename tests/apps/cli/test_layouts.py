"""What a folder of labeled data is, is found out; and it is split where it is not."""

import json
import os
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from ccmim.apps.cli.dense_tasks import heads_of
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.task_setting import Part
from ccmim.apps.cli.tasks import Tasks
from ccmim.apps.cli.transfer_plan import check_folds
from ccmim.checkpoints import Architecture
from ccmim.classification.labels import open_labels
from ccmim.labels import LabelError
from ccmim.labels.cut import cut_coco, list_names
from ccmim.labels.layouts import Classes, describe, find_labels
from tests.labels.sets import Objects

TINY = Architecture(192, 12, 3, 768, 224, 16, pos_embed='sincos')


def test_class_folders_are_split_by_every_fifth_image(class_folders, tmp_path):
    data = find_labels(class_folders)
    assert data == Classes(class_folders, class_folders, None)
    cfg = Config.fromfile(Tasks(TINY, tmp_path / 'out').write(data, 'mine'))
    train, test = (
        open_labels(cfg[f'{split}_dataloader'].dataset.data, None, ['big cat', 'dog'])
        for split in ('train', 'val')
    )
    assert cfg.test_dataloader == cfg.val_dataloader, 'no other data are looked for'
    assert (len(train.paths()), len(test.paths())) == (16, 4)
    assert not {*train.paths()} & {*test.paths()}
    labels = [test.of(path) for path in test.paths()]
    assert labels == [0, 0, 1, 1]
    assert cfg.model.head.num_classes == 2


def test_a_split_of_class_folders_is_taken_as_it_is(class_folders):
    (class_folders / 'x').mkdir()
    root = class_folders.parent / 'split'
    root.mkdir()
    for name in ('train', 'val'):
        (root / name).symlink_to(class_folders)
    assert find_labels(root) == Classes(root, root / 'train', root / 'val')


def test_coco_is_known_by_its_content(coco_folder, tmp_path):
    data = find_labels(coco_folder)
    assert data.classes == ('square',)
    assert data.train == (coco_folder / 'annotations.json', coco_folder / 'images')
    assert data.test is None
    pytest.importorskip('mmdet')
    cfg = Config.fromfile(Tasks(TINY, tmp_path / 'out', fast=True).write(data, 'a'))
    files = [cfg[f'{name}_dataloader'].dataset.ann_file for name in ('train', 'test')]
    contents = [json.loads(Path(file).read_text()) for file in files]
    images = [{image['id'] for image in content['images']} for content in contents]
    assert images == [{0, 1, 2, 3, 5, 6, 7, 8}, {4, 9}]
    assert cfg.test_evaluator.ann_file == files[1]
    assert cfg.val_dataloader is None, 'its images are tested once'
    assert cfg.model.roi_head.bbox_head.num_classes == 1
    assert cfg.train_cfg.max_iters == cfg.train_cfg.val_interval == 20


@pytest.mark.parametrize(
    ('test', 'options', 'message'),
    [
        (('val', 'val'), {}, 'is for data without a split'),
        (None, dict(fast=True), 'in folds with all labels only'),
        (None, dict(fractions=[0.5, 1.0]), 'in folds with all labels only'),
    ],
)
def test_folds_that_would_be_ignored_are_refused(test, options, message, tmp_path):
    data = Classes(tmp_path, tmp_path, test)
    args = Namespace(**dict(folds=3, fast=False, fractions=[1.0]) | options)
    with pytest.raises(Mistake, match=message):
        check_folds(args, data)
    check_folds(Namespace(**vars(args) | dict(folds=0)), data)


def test_folds_test_each_image_once_and_fractions_are_nested(coco_folder, tmp_path):
    pytest.importorskip('mmdet')
    data, tasks = find_labels(coco_folder), Tasks(TINY, tmp_path)

    def ids(part):
        cfg = Config.fromfile(tasks.write(data, 'a', part))
        files = [cfg[f'{s}_dataloader'].dataset.ann_file for s in ('train', 'test')]
        contents = [json.loads(Path(file).read_text()) for file in files]
        return [{image['id'] for image in content['images']} for content in contents]

    folds = [ids(Part(1.0, i, 3)) for i in range(3)]
    assert sorted(i for _, test in folds for i in test) == [*range(10)]
    assert all(sorted([*train, *test]) == [*range(10)] for train, test in folds)
    parts = [ids(Part(fraction)) for fraction in (0.3, 0.6, 1.0)]
    assert [len(train) for train, _ in parts] == [3, 4, 8]
    assert parts[0][0] < parts[1][0] < parts[2][0]
    assert all(test == {4, 9} for _, test in parts)


def test_maps_are_known_by_their_folders(map_folder, tmp_path):
    data = find_labels(map_folder)
    assert data.classes == ('class 0', 'class 1', 'class 2')
    assert data.test == tuple(map_folder / k / 'validation' for k in PAIR)
    assert find_labels(map_folder, ignore_zero=True).classes == ('class 0', 'class 1')
    (map_folder / 'classes.txt').write_text('sky\nroad\ncar\n')
    assert find_labels(map_folder).classes == ('sky', 'road', 'car')
    pytest.importorskip('mmseg')
    cfg = Config.fromfile(Tasks(TINY, tmp_path / 'out', steps=7).write(data, 'a'))
    assert cfg.model.decode_head.num_classes == 3
    assert list(cfg.model.backbone.out_indices) == [2, 5, 8, 11]
    assert cfg.train_cfg.max_iters == 7


PAIR = ('images', 'annotations')


def test_a_fast_test_set_is_numbered_as_the_training_set(class_folders, tmp_path):
    """Though a class has no images there."""
    root = tmp_path / 'split'
    for split, names in ('train', 'abc'), ('val', 'ac'):
        for name in names:
            shutil.copytree(class_folders / 'dog', root / split / name)
    tasks = Tasks(TINY, tmp_path / 'out', fast=True)
    cfg = Config.fromfile(tasks.write(find_labels(root), 'mine'))
    test = open_labels(cfg.val_dataloader.dataset.data, None, ['a', 'b', 'c'])
    numbers = {Path(path).parent.name: test.of(path) for path in test.paths()}
    assert numbers == {'a': 0, 'c': 2}


def test_odd_bytes_in_names_reach_the_list(class_folders, map_folder, tmp_path):
    """But for maps, whose lists mmseg reads as UTF-8."""
    odd = os.fsdecode(b'caf\xe9.jpg')
    (class_folders / 'dog' / '0.jpg').rename(class_folders / 'dog' / odd)
    tasks = Tasks(TINY, tmp_path / 'out')
    cfg = Config.fromfile(tasks.write(find_labels(class_folders), 'mine'))
    lists = (cfg[f'{split}_dataloader'].dataset.data for split in ('train', 'val'))
    paths = [path for file in lists for path in open_labels(file).paths()]
    assert len(paths) == 20
    assert str(class_folders / 'dog' / odd) in paths
    images = map_folder / 'images/validation'
    (images / '0.jpg').rename(images / odd)
    with pytest.raises(LabelError, match=r'caf.xe9 in .*validation is no name in UTF-'):
        list_names(images, '.jpg', tmp_path / 'list.txt', lambda number: True, None)


@pytest.mark.parametrize('split', ['training', 'validation'])
def test_a_class_of_one_map_counts(map_folder, split):
    folder = map_folder / 'annotations' / split
    for i in range(600):
        number = np.full((2, 2), 6 if i == 4 else 0, np.uint8)
        Image.fromarray(number).save(folder / f'{i:03}.png')
    assert len(find_labels(map_folder).classes) == 7


def test_images_without_maps_are_no_test_set(map_folder):
    shutil.rmtree(map_folder / 'annotations/validation')
    assert find_labels(map_folder).test is None


def test_boxes_without_masks_train_a_faster_rcnn(coco_folder, tmp_path):
    file = coco_folder / 'annotations.json'
    content = json.loads(file.read_text())
    for annotation in content['annotations']:
        annotation['segmentation'] = []
    file.write_text(json.dumps(content))
    data = find_labels(coco_folder)
    assert data.with_masks is False
    pytest.importorskip('mmdet')
    cfg = Config.fromfile(Tasks(TINY, tmp_path / 'out').write(data, 'a'))
    assert cfg.model.type == 'FasterRCNN'
    assert cfg.model.roi_head.mask_head is None
    assert cfg.test_evaluator.metric == 'bbox'
    tasks = Tasks(TINY, tmp_path / 'out')
    tasks.head = 'eomt'
    with pytest.raises(Mistake, match='has boxes and no masks, which EoMT learns'):
        tasks.config(data, 'a')


@pytest.mark.parametrize('full', [False, True])
@pytest.mark.parametrize('kind', ['coco', 'map'])
def test_eomt_takes_the_place_of_the_usual_head(kind, full, tmp_path, request):
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    data = find_labels(request.getfixturevalue(f'{kind}_folder'))
    usual = dict(coco='mask_rcnn', map='upernet')[kind]
    assert heads_of(data, None) == heads_of(data, [usual]) == ['']
    assert heads_of(data, ['eomt', usual]) == ['', 'eomt']
    assert describe(data, ['', 'eomt']).count(' and EoMT') == 1
    small = Architecture(384, 12, 6, 1536, 224, 16, reg_tokens=4)
    tasks = Tasks(small, tmp_path, full=full)
    tasks.head = 'eomt'
    model = tasks.config(data, 'a').model
    head = model.panoptic_head if kind == 'coco' else model.decode_head
    number = head.num_things_classes if kind == 'coco' else head.num_classes
    assert number == len(data.classes)
    assert head.num_queries == {False: 50, True: 200 if kind == 'coco' else 100}[full]
    assert (model.backbone.out_indices, model.backbone.reg_tokens) == ((), 4)
    if kind == 'map':
        side = 512 if full else 256
        assert model.test_cfg.mode == 'slide'
        assert model.test_cfg.stride == model.test_cfg.crop_size == (side, side)
    other = dict(coco='upernet', map='mask_rcnn')[kind]
    with pytest.raises(Mistake, match=f'the head {other} is for other labels'):
        heads_of(data, [other])


@pytest.mark.parametrize(('kind', 'patch'), [('coco', 14), ('map', 14), ('map', 8)])
def test_dense_tasks_resample_other_patches(kind, patch, tmp_path, request):
    """All of DINOv2 has patches of 14 px, and the pyramids are made for 16."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    data = find_labels(request.getfixturevalue(f'{kind}_folder'))
    sizes = Architecture(192, 12, 3, 768, 37 * patch, patch, layer_scale=True)
    tasks = Tasks(sizes, tmp_path)
    backbone = tasks.config(data, 'a').model.backbone
    assert backbone.patch_size == 16
    assert backbone.init_cfg.resize_patch is True
    assert (backbone.layer_scale_init, backbone.pos_embed) == (1e-5, 'learned')
    assert tasks.notes[0].startswith(f'patches of {patch} px are resampled to 16 px')


@pytest.mark.parametrize(
    ('own', 'patch', 'asked', 'photos', 'side'),
    [
        (518, 14, None, (), 224),
        (384, 16, None, (100, 90, 56), 224),
        (384, 16, None, (32, 32, 500), 128),
        (518, 14, None, (32,), 126),
        (32, 4, None, (500,), 32),
        ([96, 224], 16, None, (), [96, 224]),
        (518, 14, 112, (10,), 112),
        (512, 256, None, (10,), 256),
    ],
)
def test_nearest_neighbors_look_at_224_pixels_at_most_and_at_small_photos_at_fewer(
    own, patch, asked, photos, side, tmp_path
):
    files = [tmp_path / 'no photo']
    for short in photos:
        files.append(tmp_path / f'{len(files)}.png')
        Image.new('RGB', (short + 7, short)).save(files[-1])
    sizes = Architecture(192, 12, 3, 768, own, patch)
    assert Tasks(sizes, Path(), image_size=asked).probe_side(files) == side
    with pytest.raises(ValueError, match='--image-size 50 must be a multiple of'):
        Tasks(sizes, Path(), image_size=50).probe_side(files)


def test_damaged_photos_are_left_out_of_a_test_that_is_cut_off(tmp_path):
    """Training replaces them, and each photo of a test counts."""
    made = Objects(tmp_path / 'set')
    made.write()
    file = made.root / 'train/a.jpg'
    file.write_bytes(file.read_bytes()[:-30])
    cut_coco(made.file(), tmp_path / 'a.json', lambda number: True, None, file.parent)
    (left,) = json.loads((tmp_path / 'a.json').read_text())['images']
    assert left['file_name'] == 'b.jpg'
    names = tmp_path / 'names.txt'
    list_names(file.parent, '.jpg', names, lambda number: True, None, is_test=True)
    assert names.read_text() == 'b\n'
