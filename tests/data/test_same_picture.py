"""Pretraining sees the pictures that detection and segmentation see."""

import io

import numpy as np
import pytest
from PIL import Image

from ccmim.data.image import decode_image

mmcv = pytest.importorskip('mmcv')


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((90, 60), Image.BICUBIC)


def _both(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    ours = np.asarray(decode_image(buffer.getvalue()), float)
    theirs = mmcv.imfrombytes(buffer.getvalue(), channel_order='rgb')
    return ours, theirs.astype(float)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_exif_turns_the_picture_in_both(photo, kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    options = dict(quality=95) if kind == 'jpeg' else {}
    ours, theirs = _both(photo, kind, exif=exif, **options)
    assert ours.shape == theirs.shape
    assert ours.shape == ((90, 60, 3) if orientation > 4 else (60, 90, 3))
    assert abs(ours - theirs).mean() < 2


@pytest.mark.parametrize('mode', ['L', 'P', 'RGBA', '1'])
def test_pixels_become_the_same_colors(photo, mode):
    ours, theirs = _both(photo.convert(mode), 'png')
    assert abs(ours - theirs).max() <= 1


def test_16_bit_grey_has_the_same_mean():
    values = np.linspace(0, 65535, 10_000).astype(np.uint16).reshape(100, 100)
    ours, theirs = _both(Image.fromarray(values), 'png')
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.01)


DEEP = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)


@pytest.mark.parametrize('kind', ['floats up to 1', 'floats up to 255', '16 bits'])
def test_detection_loads_floats_and_16_bits_as_pretraining_does(kind, tmp_path):
    """OpenCV makes floats up to 1 black."""
    from ccmim.dense.photos import LoadImageFromFile

    file = tmp_path / ('a.png' if kind == '16 bits' else 'a.tif')
    values = {'floats up to 1': DEEP, 'floats up to 255': DEEP * 255}
    Image.fromarray(values.get(kind, (DEEP * 65535).astype(np.uint16))).save(file)
    loaded = LoadImageFromFile()(dict(img_path=str(file)))
    truth = np.round(DEEP * 255)
    assert abs(loaded['img'] - truth[..., None]).max() <= 1
    assert loaded['img_shape'] == (100, 100)
