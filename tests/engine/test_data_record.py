"""A list of images is the same wherever they are, and tells what has changed."""

import shutil
import tarfile
import time

import pytest

from ccmim.data import UnlabeledImages
from ccmim.data.sources import ImageFiles
from ccmim.engine.resume.data_record import (
    compare_lists,
    fingerprint,
    image_list,
    write_list,
)

TRANSFORM = dict(type='ccmim.ToUint8Tensor')


def _list(data):
    return image_list(UnlabeledImages(data, TRANSFORM))


def test_names_start_where_they_differ(image_folder, tmp_path):
    """Folders above the images do not count: another machine has others."""
    names = _list(image_folder)
    assert names == b'\n'.join(
        b'part%d/%d.jpg' % (part, i) for part in (0, 1) for i in range(part, 8, 2)
    )
    shutil.copytree(image_folder, tmp_path / 'a' / 'part')
    assert _list(tmp_path / 'a') == names
    assert _list(image_folder / 'part0' / '0.jpg') == b'0.jpg'
    relative = tmp_path / 'list.txt'
    relative.write_text('photos/part1/1.jpg\nphotos/part0/0.jpg\n')
    assert _list(relative) == b'part1/1.jpg\npart0/0.jpg'


def test_shards_and_parts(image_folder, tmp_path):
    """Every kind of source has names; those that are left out are not listed."""
    with tarfile.open(tmp_path / 'shard.tar', 'w') as tar:
        tar.add(image_folder / 'part0' / '0.jpg', 'x/in_tar.jpg')
    assert _list(tmp_path / 'shard.tar') == b'in_tar.jpg'
    both = _list([image_folder / 'part0', tmp_path / 'shard.tar'])
    assert both.endswith(b'6.jpg\nx/in_tar.jpg')
    assert both.count(b'\n') == 4


def test_other_data_sets_have_no_list():
    assert image_list([1, 2]) is None
    assert fingerprint(None) is None


def test_a_fingerprint_is_of_names_and_order():
    prints = {fingerprint(x) for x in (b'a\nb', b'b\na', b'a\nb\nc', b'a\nc')}
    assert len(prints) == 4
    assert fingerprint(b'a\nb') in prints


@pytest.mark.parametrize(
    ('now', 'difference'),
    [
        (b'a\nb\nc\nd', '0 files gone, 1 new (d)'),
        (b'b', '2 files gone (a, c), 0 new'),
        (b'1\n2\n3', '3 files gone (a, b, ...), 3 new (1, 2, ...)'),
        (b'c\nb\na', 'the same files in another order'),
        (b'a\nb\n\xff', '1 files gone (c), 1 new (\\xff)'),
    ],
)
def test_differences(tmp_path, now, difference):
    assert compare_lists(tmp_path, now) == 'other files', 'without a list'
    write_list(tmp_path, b'a\nb\nc')
    assert compare_lists(tmp_path, now) == difference


@pytest.mark.slow
def test_imagenet_takes_less_than_two_seconds():
    names = [f'/data/n{i // 1300:08}/n{i // 1300:08}_{i}.JPEG' for i in range(1281167)]
    images = UnlabeledImages.__new__(UnlabeledImages)
    images._source = ImageFiles(names)
    started = time.process_time()
    assert len(fingerprint(image_list(images))) == 64
    assert time.process_time() - started < 2
