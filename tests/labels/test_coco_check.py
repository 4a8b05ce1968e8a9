"""Each fault of a set in COCO's format is named, and a good set is passed."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from ccmim.pictures.overlay import Objects, draw_objects

pytest.importorskip('mmdet')
pytestmark = pytest.mark.downstream

WIDTH, HEIGHT = 40, 30
SQUARE = [5, 6, 15, 6, 15, 16, 5, 16]


@pytest.fixture
def content():
    """Two images, three objects of two classes."""
    return dict(
        images=[
            dict(id=i, file_name=f'{i}.png', width=WIDTH, height=HEIGHT) for i in (1, 2)
        ],
        annotations=[
            dict(
                id=10 + i,
                image_id=1 + i // 2,
                category_id=7 + i % 2,
                bbox=[5, 6, 10, 10],
                area=100,
                segmentation=[list(SQUARE)],
            )
            for i in range(3)
        ],
        categories=[dict(id=7, name='zebra'), dict(id=8, name='tortoise')],
    )


@pytest.fixture
def check(tmp_path, content):
    """Write the set, check it, and give the only report."""
    from ccmim.engine.settings import check_config

    folder = tmp_path / 'images'
    folder.mkdir()
    for image in content['images']:
        Image.new('RGB', (WIDTH, HEIGHT), 'green').save(folder / image['file_name'])

    def run(**changes):
        (tmp_path / 'boxes.json').write_text(json.dumps(content))
        dataset = dict(
            type='CocoDataset',
            data_root=str(tmp_path),
            ann_file='boxes.json',
            data_prefix=dict(img='images'),
            metainfo=dict(classes=('zebra', 'tortoise')),
            pipeline=[dict(type='LoadAnnotations', with_mask=True)],
        )
        dataset.update(changes)
        wrapped = dict(type='RepeatDataset', times=2, dataset=dataset)
        loaders = dict(
            train_dataloader=dict(dataset=wrapped),
            val_dataloader=dict(dataset=dataset),  # the same again
        )
        (report,) = check_config(Config(dict(default_scope='mmdet', **loaders)))
        return report

    return run


def test_a_good_set_has_no_problems_and_its_objects_are_counted(check):
    report = check()
    assert report.problems == report.notes == []
    assert report.counts == dict(zebra=2, tortoise=1)
    assert report.text().startswith(
        'train (CocoDataset, boxes.json): 2 images, 3 objects of 2 classes\n'
    )
    assert [picture.title for picture in report.pictures] == ['1.png', '2.png']


def test_pictures_show_boxes_and_masks(check, content):
    content['annotations'][2].update(
        bbox=[5, 6, 20, 22], segmentation=[[5, 6, 25, 6, 25, 28, 5, 28]]
    )
    report = check(
        metainfo=dict(classes=('zebra', 'tortoise'), palette=[(255, 0, 0)] * 2)
    )
    drawn = report.pictures[1].draw()
    factor = drawn.width // WIDTH
    assert drawn.width == factor * WIDTH >= 320, 'names do not cover a small photo'
    assert drawn.getpixel((12 * factor, 24 * factor))[0] > 100  # half red, over green
    assert drawn.getpixel((5 * factor, 24 * factor)) == (255, 0, 0)  # the box's edge
    assert drawn.getpixel((34 * factor, 24 * factor)) == (0, 128, 0)


def test_no_name_is_wider_than_its_object():
    boxes = np.array([[10.0, 10, 30, 90], [60, 10, 190, 90]])
    objects = Objects(boxes, np.array([0, 0]))
    black = np.zeros((100, 200, 3), np.uint8)
    drawn = draw_objects(black, objects, ['a long name'], [(255, 0, 0)])
    assert drawn.shape == (300, 600, 3), 'small photos are enlarged'
    assert not drawn[36:264, 36:84].any(), 'no name in it'
    assert not drawn[:, 96:177].any(), 'nor beside it'
    assert drawn[45, 190:300].any()


def test_run_lengths_are_drawn(check, content):
    runs = dict(size=[HEIGHT, WIDTH], counts=[0, HEIGHT * 10, HEIGHT * 30])
    content['annotations'][2].update(segmentation=runs, bbox=[0, 0, 10, HEIGHT])
    report = check(
        metainfo=dict(classes=('zebra', 'tortoise'), palette=[(255, 0, 0)] * 2)
    )
    assert report.problems == []
    drawn = report.pictures[1].draw()
    factor = drawn.width // WIDTH
    assert drawn.getpixel((2 * factor, 28 * factor))[0] > 100
    assert drawn.getpixel((20 * factor, 28 * factor)) == (0, 128, 0)


def _change(index, **values):
    return lambda content: content['annotations'][index].update(values)


# What test_odd_sets.py does not ask all commands about.
FAULTS = {
    'boxes that lie outside their image (mmdet leaves them out): 1': (
        _change(0, bbox=[50, 6, 10, 10])
    ),
    'boxes of which less than half lies in their image: 1': (
        _change(0, bbox=[36, 6, 10, 10])
    ),
    'to train on boxes (with_mask=False and no mask_head in a config): 1': _change(
        0, segmentation=[]
    ),
    'masks of which less than half lies in their image: 1': (
        _change(0, segmentation=[[36, 6, 46, 6, 46, 16]])
    ),
    'masks of another size than their image (size is height, width): 1': (
        _change(0, segmentation=dict(size=[WIDTH, HEIGHT], counts=[0, 1200]))
    ),
    'the split is empty': lambda c: c['images'].clear(),
}


@pytest.mark.parametrize('message', FAULTS)
def test_each_fault_is_named(check, content, message):
    FAULTS[message](content)
    problems = check().problems
    assert len(problems) == 1
    assert message in problems[0]


def test_empty_run_lengths_are_found_in_both_forms(check, content):
    coco_mask = pytest.importorskip('pycocotools.mask')
    plain = dict(size=[HEIGHT, WIDTH], counts=[WIDTH * HEIGHT])
    packed = coco_mask.frPyObjects(plain, HEIGHT, WIDTH)
    packed['counts'] = packed['counts'].decode()
    content['annotations'][0]['segmentation'] = plain
    content['annotations'][1]['segmentation'] = packed
    (problem,) = check().problems
    assert problem.startswith('masks that are empty: 2 (annotation 10 of 1.png')


def test_rounding_by_a_pixel_is_no_fault(check, content):
    box = [0, 0, 40, 0, 40, 30, 0, 30]
    content['annotations'][0].update(bbox=[-0.5, 0, 41, 30.5], segmentation=[box])
    assert check().problems == []


def test_missing_masks_matter_to_a_config_that_reads_masks(check, content):
    content['annotations'][0]['segmentation'] = []
    assert check(pipeline=[dict(type='LoadAnnotations', with_bbox=True)]).problems == []


def test_a_photo_on_its_side_has_the_size_at_which_it_is_shown(check, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.new('RGB', (HEIGHT, WIDTH))
    turned.save(tmp_path / 'images/1.png', exif=exif)
    assert check().problems == []


def test_missing_files_and_folders_are_named(check, tmp_path):
    (problem,) = check(ann_file='none.json').problems
    assert problem == f'annotation file {tmp_path}/none.json does not exist'
    (problem,) = check(data_prefix=dict(img='elsewhere')).problems
    assert problem == f'image folder {tmp_path}/elsewhere does not exist'
    (tmp_path / 'text.json').write_text('{')
    (problem,) = check(ann_file='text.json').problems
    assert 'is no JSON' in problem


def test_a_palette_of_another_length_is_filled(check):
    report = check(metainfo=dict(classes=('zebra', 'tortoise'), palette=[(1, 2, 3)]))
    assert report.problems == []
    colors = report.pictures[0].draw().getcolors()
    assert len({color for _, color in colors}) > 3


def test_images_without_annotations_and_left_out_categories_are_notes(check, content):
    content['annotations'].pop()
    report = check(
        metainfo=dict(classes=('zebra',)), filter_cfg=dict(filter_empty_gt=True)
    )
    assert report.problems == []
    assert report.notes == [
        'categories that are not in metainfo.classes and left out: 1 (tortoise)',
        'images without annotations (training skips them): 1 (2.png)',
    ]
    least = max(content['images'][0]['height'], content['images'][0]['width'])
    report = check(filter_cfg=dict(min_size=least + 1))
    assert f'min_size={least + 1} (training skips them): 2 (1.png, 2.png)' in str(
        report.notes
    )
    assert report.problems[0].startswith('nothing to learn from: no image has an')


def test_lvis_finds_its_images_by_their_address(check, content):
    for image in content['images']:
        name = image.pop('file_name')
        image['coco_url'] = f'http://images.cocodataset.org/images/{name}'
    report = check(type='LVISV1Dataset', data_prefix=dict(img=''))
    assert report.problems == []
