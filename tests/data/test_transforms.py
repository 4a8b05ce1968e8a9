import numpy as np
import pytest
import torch
import torchvision.transforms as T
from PIL import Image

from ccmim.registry import TRANSFORMS


def _build(kind, **kwargs):
    return TRANSFORMS.build(dict(type=f'ccmim.{kind}', **kwargs))


@pytest.fixture
def photo():
    rows, columns = np.mgrid[0:60, 0:90]
    pixels = np.stack([rows * 4, columns * 2, (rows + columns)], -1)
    return Image.fromarray(pixels.astype(np.uint8))


def test_crop_is_that_of_torchvision_with_maes_settings(photo):
    torch.manual_seed(3)
    ours = _build('RandomResizedCrop', size=32)(photo)
    torch.manual_seed(3)
    bicubic = T.InterpolationMode.BICUBIC
    reference = T.RandomResizedCrop(32, scale=(0.2, 1.0), interpolation=bicubic)
    assert np.array_equal(np.asarray(ours), np.asarray(reference(photo)))


def test_crop_takes_height_before_width(photo):
    assert _build('RandomResizedCrop', size=(20, 30))(photo).size == (30, 20)


def test_crop_area_covers_the_given_range():
    # Pixel values tell their own place, so a nearest crop shows what it took.
    place = np.arange(100, dtype=np.uint8)
    picture = np.stack([*np.broadcast_arrays(place[:, None], place[None])] * 2, -1)
    picture = Image.fromarray(np.ascontiguousarray(picture[..., :3]))
    crop = _build('RandomResizedCrop', size=50, interpolation='nearest')
    spans = [np.ptp(np.asarray(crop(picture)), axis=(0, 1))[:2] + 1 for _ in range(300)]
    areas = np.prod(spans, axis=1, dtype=float) / 1e4
    assert 0.15 < areas.min() < 0.3
    assert 0.9 < areas.max() <= 1.0


@pytest.mark.parametrize(
    ('one_draw', 'area', 'full'), [(True, 0.518, 0.255), (False, 0.437, 0.006)]
)
def test_one_draw_is_cut_to_the_picture(one_draw, area, full):
    """Of MAE's probe: of 500 x 375 more is shown, a whole side in every fourth crop.

    The values are integrals over the share s in (0.08, 1) and the shape r, whose
    logarithm is uniform: of min(500, sqrt(s A r)) min(375, sqrt(s A / r)) / A.
    """
    photo = Image.new('RGB', (500, 375))
    crop = _build('RandomResizedCrop', size=8, scale=(0.08, 1), one_draw=one_draw)
    torch.manual_seed(0)
    scales = (0.08, 1), (3 / 4, 4 / 3)
    boxes = [crop._crop.get_params(photo, *scales) for _ in range(8000)]
    tops, lefts, heights, widths = np.array(boxes).T
    assert (heights * widths).mean() / (500 * 375) == pytest.approx(area, abs=0.01)
    whole = (heights == 375) | (widths == 500)
    assert whole.mean() == pytest.approx(full, abs=0.015)
    assert ((tops >= 0) & (tops + heights <= 375)).all()
    assert ((lefts >= 0) & (lefts + widths <= 500)).all()
    assert lefts[widths < 250].max() > 300  # anywhere
    scales = (0.08, 0.2), (3 / 4, 4 / 3)  # so small that all fit
    boxes = [crop._crop.get_params(photo, *scales) for _ in range(500)]
    _, _, heights, widths = np.array(boxes).T
    shares, shapes = heights * widths / 187500, widths / heights
    assert 0.079 < shares.min() < 0.085 < 0.19 < shares.max() < 0.201
    assert 0.74 < shapes.min() < 0.8 < 1.25 < shapes.max() < 1.35
    assert crop(photo).size == (8, 8)
    whole = _build('RandomResizedCrop', size=8, scale=(1, 1))._crop
    sizes = ((395, 300), (90, 30), (1, 50)) * 50
    photos = [Image.new('RGB', size) for size in sizes]
    boxes = [whole.get_params(photo, whole.scale, whole.ratio) for photo in photos]
    assert boxes == [(0, 0, 300, 395), (0, 25, 30, 40), (24, 0, 1, 1)] * 50


def test_flip_mirrors_left_and_right_as_often_as_asked(photo):
    mirrored = np.asarray(photo)[:, ::-1]
    assert np.array_equal(_build('RandomHorizontalFlip', prob=1)(photo), mirrored)
    assert np.array_equal(_build('RandomHorizontalFlip', prob=0)(photo), photo)
    torch.manual_seed(0)
    flip = _build('RandomHorizontalFlip')
    count = sum(np.array_equal(flip(photo), mirrored) for _ in range(400))
    assert 160 < count < 240


@pytest.mark.parametrize('size', [(500, 375), (300, 401), (64, 64), (101, 999)])
def test_centre_crop_is_that_of_torchvision_for_squares(size):
    pixels = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)
    image = Image.fromarray(pixels)
    ours = _build('ResizeCenterCrop', size=56)(image)
    bicubic = T.InterpolationMode.BICUBIC
    reference = T.Compose([T.Resize(64, bicubic), T.CenterCrop(56)])
    assert np.array_equal(np.asarray(ours), np.asarray(reference(image)))


@pytest.mark.parametrize('size', [(90, 60), (7, 300), (1, 1), (33, 77)])
def test_centre_crop_of_any_shape_never_pads(size):
    image = Image.new('RGB', size, 'white')
    for crop_ratio in (1.0, 0.9, 0.3):
        crop = _build('ResizeCenterCrop', size=(24, 40), crop_ratio=crop_ratio)
        cropped = crop(image)
        assert cropped.size == (40, 24)
        assert np.asarray(cropped).min() == 255
    around = _build('Resize', size=(24, 40), keep_ratio=True)(image)
    assert min(around.height - 24, around.width - 40) == 0
    assert around.width / around.height == pytest.approx(size[0] / size[1], rel=0.03)


def test_tensor_holds_the_bytes_channel_first(photo):
    tensor = _build('ToUint8Tensor')(photo)
    assert tensor.dtype == torch.uint8
    assert tensor.is_contiguous()
    assert torch.equal(tensor, torch.tensor(np.asarray(photo)).permute(2, 0, 1))


@pytest.mark.parametrize(
    ('config', 'name'),
    [
        (dict(type='RandomResizedCrop', size=8, scale=(0.5, 0.2)), 'scale'),
        (dict(type='RandomResizedCrop', size=8, ratio=(2, 1)), 'ratio'),
        (dict(type='ccmim.RandomCropWithBox', size=8, scale=(0.5, 0.2)), 'scale'),
    ],
)
def test_impossible_settings_name_the_argument(config, name):
    message = f'^{name}=.* must be the least value and the greatest'
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(config)
