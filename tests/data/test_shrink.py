"""Shrunk copies are the same pictures, smaller, and a broken run goes on."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from ccmim.data.image import decode_image
from ccmim.data.shrink import shrink_images


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.BICUBIC)


@pytest.fixture
def folder(tmp_path, photo):
    source = tmp_path / 'photos'
    (source / 'deep').mkdir(parents=True)
    photo.save(source / 'wide.jpg', quality=95)
    photo.transpose(Image.Transpose.ROTATE_90).save(source / 'deep' / 'tall.png')
    photo.resize((50, 40)).save(source / 'deep' / 'tall.jpg', quality=95)
    (source / 'bad.jpg').write_bytes(b'no image')
    os.mkfifo(source / 'pipe.jpg')
    return source


def test_copies_keep_the_tree_and_the_picture(folder, tmp_path, photo):
    done = dict(shrink_images(folder, tmp_path / 'small', 120, num_workers=1))
    none = 'not readable: not a regular file'
    wanted = {'bad.jpg': 'not an image', 'pipe.jpg': none, 'wide.jpg': None}
    wanted |= {'deep/tall.jpg': None, 'deep/tall.png': None}
    assert done == {str(folder / name): reason for name, reason in wanted.items()}
    small = tmp_path / 'small'
    found = {str(p.relative_to(small)): Image.open(p).size for p in small.rglob('*.*')}
    # The small one was smaller than asked for, and is as it was.
    sizes = {'wide.jpg': (160, 120), 'deep/tall.jpg': (50, 40)}
    assert found == sizes | {'deep/tall.png.jpg': (120, 160)}
    copy = np.asarray(Image.open(tmp_path / 'small' / 'wide.jpg'), float)
    assert abs(copy - np.asarray(photo.resize((160, 120), Image.BICUBIC))).mean() < 3


def test_what_is_there_stays(folder, tmp_path):
    small = tmp_path / 'small'
    small.mkdir()
    (small / 'wide.jpg').write_bytes(b'kept')
    list(shrink_images(folder, small, 120, num_workers=1))
    assert (small / 'wide.jpg').read_bytes() == b'kept'
    assert not list(small.rglob('*.part'))


@pytest.mark.parametrize(
    ('target', 'options', 'message'),
    [
        ('small', dict(short_side=8), 'short_side=8'),
        ('small', dict(quality=99), 'quality=99'),
        ('photos/small', {}, 'lies inside'),
    ],
)
def test_bad_values_are_named(folder, tmp_path, target, options, message):
    with pytest.raises(ValueError, match=message):
        list(shrink_images(folder, tmp_path / target, **options))


@pytest.mark.parametrize(
    ('least', 'size'),
    [(0, (640, 480)), (241, (640, 480)), (240, (320, 240)), (70, (160, 120))],
)
def test_a_jpeg_is_decoded_no_smaller_than_asked(photo, least, size):
    data = io.BytesIO()
    photo.save(data, 'JPEG', quality=95)
    image = decode_image(data.getvalue(), least_side=least)
    assert image.size == size
    expected = np.asarray(photo.resize(size, Image.BOX), float)
    assert abs(np.asarray(image) - expected).mean() < 3


def test_other_formats_are_decoded_whole(photo):
    data = io.BytesIO()
    photo.save(data, 'PNG')
    assert decode_image(data.getvalue(), least_side=70).size == (640, 480)


def test_the_command_names_what_it_leaves_out(folder, tmp_path, run_tool):
    words = [folder, tmp_path / 'small', '--short-side', '120', '--workers', '1']
    text = run_tool('shrink_images.py', *words)[1]
    assert f'Left out: {folder / "bad.jpg"} (not an image)' in text
    assert '3 images, 2 left out' in text
    with Image.open(tmp_path / 'small' / 'wide.jpg') as copy:
        assert min(copy.size) == 120
