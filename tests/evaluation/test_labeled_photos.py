"""What is known of a labeled photo: the classes of its pixels, and its boxes."""

import json

import numpy as np
import pytest
from PIL import Image

from ccmim.evaluation.labeled_photos import Photo, open_photos
from ccmim.labels.layouts import Instances
from ccmim.labels.map_folders import Maps


def _square(left, top, side):
    corners = (left, top, left + side, top, left + side, top + side, left, top + side)
    return dict(bbox=[left, top, side, side], segmentation=[list(corners)])


def test_objects_lie_on_larger_ones_and_crowds_are_unknown(tmp_path):
    Image.new('RGB', (20, 10)).save(tmp_path / 'a.png')
    crowd = dict(size=[10, 20], counts=[160, 40])  # the last four columns
    some = [
        dict(_square(1, 1, 3), category_id=7, area=9),
        dict(_square(0, 0, 6), category_id=3, area=36),
        dict(bbox=[9, 2, 2, 2], category_id=3, area=4),  # without an outline
        dict(bbox=[16, 0, 4, 10], segmentation=crowd, category_id=3, iscrowd=1),
        dict(_square(12, 1, 2), category_id=5),  # of no class of this data
        dict(bbox=[-1, 9, 3, 2], category_id=7, iscrowd=1),
    ]
    content = dict(
        images=[dict(id=1, file_name='a.png', width=20, height=10)],
        annotations=[dict(image_id=1, iscrowd=0, id=i) | o for i, o in enumerate(some)],
        categories=[dict(id=i, name=n) for i, n in ((3, 'sea'), (5, 'x'), (7, 'ship'))],
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    part = (tmp_path / 'a.json', tmp_path)
    photos = open_photos(Instances(tmp_path, part, part, ('sea', 'ship')))
    classes = photos.test[0].draw()
    assert photos.classes == ('background', 'sea', 'ship')
    assert [classes[y, x] for y, x in ((8, 0), (5, 5), (2, 2), (1, 12))] == [0, 1, 2, 0]
    assert (classes[2:4, 9:11] == 255).all()
    assert (classes[:, 16:] == 255).all()
    assert (classes[9, :3] == 255).all()
    assert (classes == 255).sum() == 4 + 40 + 3
    first, *others = photos.test[0].boxes.tolist()
    assert first == pytest.approx([0.05, 0.1, 0.2, 0.4])
    assert len(others) == 2, 'no crowd'


@pytest.mark.parametrize('ignore_zero', [False, True])
def test_zero_is_a_class_or_nothing(tmp_path, ignore_zero):
    Image.new('RGB', (4, 1)).save(tmp_path / 'a.jpg')
    Image.fromarray(np.uint8([[0, 1, 2, 255]])).save(tmp_path / 'a.png')
    part = (tmp_path, tmp_path)
    data = Maps(tmp_path, part, part, ('a', 'b'), ignore_zero, ('.jpg', '.png'))
    classes = open_photos(data).test[0].draw().tolist()
    assert classes == ([[255, 0, 1, 255]] if ignore_zero else [[0, 1, 2, 255]])


def test_photos_and_maps_are_squeezed_to_height_and_width(tmp_path):
    left = np.zeros((10, 20, 3), np.uint8)
    left[:, :10] = 200
    Image.fromarray(left).save(tmp_path / 'a.png')
    photo = Photo(tmp_path / 'a.png', draw=lambda: left[..., 0] // 100)
    pixels, classes = photo.pixels((4, 8)), photo.map((4, 8))
    assert pixels.shape == (3, 4, 8)
    assert pixels[:, :, :2].eq(200).all()
    assert classes.tolist() == [[2] * 4 + [0] * 4] * 4
