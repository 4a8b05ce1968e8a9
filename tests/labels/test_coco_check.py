"""Each fault of a set in COCO's format is named, and a good set is passed."""

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from ccmim.engine.settings import check_config
from ccmim.pictures.overlay import Objects, draw_objects
from tests.labels import sets
from tests.labels.sets import CLASSES, HEIGHT, WIDTH

pytest.importorskip('mmdet')


@pytest.fixture
def made(tmp_path):
    """Two green images, three objects of two classes."""
    made = sets.Objects(tmp_path)
    for name in 'ab':
        Image.new('RGB', (WIDTH, HEIGHT), 'green').save(tmp_path / f'train/{name}.jpg')
    return made


@pytest.fixture
def content(made):
    """What will be in the file."""
    return made.train


@pytest.fixture
def check(made):
    """Write the set, check it, and give the only report."""

    def run(**changes):
        made.write()
        dataset = made.dataset() | dict(data_root=str(made.root)) | changes
        wrapped = dict(type='RepeatDataset', times=2, dataset=dataset)
        loaders = dict(
            train_dataloader=dict(dataset=wrapped),
            val_dataloader=dict(dataset=dataset),  # the same again
        )
        (report,) = check_config(Config(dict(default_scope='mmdet', **loaders)))
        return report

    return run


def test_a_good_set_has_no_problems_and_its_objects_are_counted(check, made):
    report = check()
    assert report.problems == report.notes == []
    assert report.counts == dict(zebra=2, tortoise=1)
    text = f'train (CocoDataset, {made.file()}): 2 images, 3 objects of 2 classes\n'
    assert report.text().startswith(text)
    assert [picture.title for picture in report.pictures] == ['a.jpg', 'b.jpg']


RED = dict(classes=CLASSES, palette=[(255, 0, 0)] * 2)
GREEN = pytest.approx((0, 128, 0), abs=2)


def pixel(drawn, x, y):
    """Color at a place of the photo, of which the picture may be a multiple."""
    factor, rest = divmod(drawn.width, WIDTH)
    assert not rest
    return drawn.getpixel((x * factor, y * factor))


def test_pictures_show_boxes_and_masks(check, content):
    corners = [5, 6, 25, 6, 25, 28, 5, 28]
    content['annotations'][2].update(bbox=[5, 6, 20, 22], segmentation=[corners])
    drawn = check(metainfo=RED).pictures[1].draw()
    assert drawn.width >= 320, 'names do not cover a small photo'
    assert pixel(drawn, 12, 24)[0] > 100  # half red, over green
    assert pixel(drawn, 5, 24) == (255, 0, 0)  # the edge of the box
    assert pixel(drawn, 34, 24) == GREEN


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
    report = check(metainfo=RED)
    assert report.problems == []
    drawn = report.pictures[1].draw()
    assert pixel(drawn, 2, 28)[0] > 100
    assert pixel(drawn, 20, 28) == GREEN


def _change(index, **values):
    return lambda content: content['annotations'][index].update(values)


# What test_odd_sets.py does not ask all commands about.
FAULTS = {
    'boxes that lie outside their image (mmdet leaves them out): 1': _change(
        0, bbox=[50, 6, 10, 10]
    ),
    'boxes of which less than half lies in their image: 1': _change(
        0, bbox=[36, 6, 10, 10]
    ),
    'to train on boxes (with_mask=False and no mask_head in a config): 1': _change(
        0, segmentation=[]
    ),
    'masks of which less than half lies in their image: 1': _change(
        0, segmentation=[[36, 6, 46, 6, 46, 16]]
    ),
    'masks of another size than their image (size is height, width): 1': _change(
        0, segmentation=dict(size=[WIDTH, HEIGHT], counts=[0, 1200])
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
    assert problem.startswith('masks that are empty: 2 (annotation 11 of a.jpg')


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
    turned.save(tmp_path / 'train/a.jpg', exif=exif)
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
    report = check(metainfo=dict(classes=CLASSES, palette=[(1, 2, 3)]))
    assert report.problems == []
    # A class without a color would raise an error here.
    assert report.pictures[0].draw().getcolors(10**6)


def test_images_without_annotations_and_left_out_categories_are_notes(check, content):
    content['annotations'].pop()
    without_empty = dict(filter_empty_gt=True)
    report = check(metainfo=dict(classes=('zebra',)), filter_cfg=without_empty)
    assert report.problems == []
    assert report.notes == [
        'categories that are not in metainfo.classes and left out: 1 (tortoise)',
        'images without annotations (training skips them): 1 (b.jpg)',
    ]
    report = check(filter_cfg=dict(min_size=WIDTH + 1))
    said = f'min_size={WIDTH + 1} (training skips them): 2 (a.jpg, b.jpg)'
    assert said in str(report.notes)
    assert report.problems[0].startswith('nothing to learn from: no image has an')


def test_lvis_finds_its_images_by_their_address(check, content):
    for image in content['images']:
        name = image.pop('file_name')
        image['coco_url'] = f'http://images.cocodataset.org/train/{name}'
    report = check(type='LVISV1Dataset', data_prefix=dict(img=''))
    assert report.problems == []
