"""Predictions side by side show what they say: asserted by pixels."""

import pytest
import torch

from ccmim.labels.settings import wheel
from ccmim.pictures import judged

IMAGES = torch.full((2, 3, 32, 32), 90, dtype=torch.uint8)
GREEN, YELLOW = judged._FOUND, judged._QUERY
COLORS = wheel(3)


@pytest.fixture(autouse=True)
def _tiles(monkeypatch):
    monkeypatch.setattr(judged, 'sheet', lambda columns, **_: columns)


def _quarters(tile):
    """The colors in the middle of the four quarters."""
    places = [(y, x) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    height, width = tile.shape[:2]
    return [tuple(tile[int(y * height), int(x * width)].tolist()) for y, x in places]


def _framed(tile, color):
    """Which of 2 x 2 patches is framed: the middle of the color lies in it."""
    ink = torch.from_numpy((tile == color).all(2)).nonzero()
    middle = (ink.amin(0) + ink.amax(0)) / 2
    row, column = (2 * middle // torch.tensor(tile.shape[:2])).int().tolist()
    return 2 * row + column


def test_nearest_patches():
    known = torch.eye(6).view(2, 3, 6)  # two photos of three patches
    wanted = torch.stack([5 * known[1, 0], known[0, 2] + 0.5 * known[1, 2]])
    photos, patches, cosines = judged.nearest_patch(known, wanted)
    assert (photos, patches) == ([1, 0], [0, 2])
    assert cosines == pytest.approx([1, 1.25**-0.5])
    assert judged.same_patch(4, (2, 3), (4, 6)) == 21
    assert judged.same_patch(21, (4, 6), (2, 3)) == 4
    rows = [(IMAGES[0], 3, 0.5), (torch.zeros_like(IMAGES[0]), 0, 0.9)]
    maps = [torch.tensor([[0, 1], [255, 2]])] * 2
    columns = judged.nearest_sheet(
        IMAGES, dict(net=rows), [1, 2], dict(net=(2, 2)), dict(truth=maps), 3
    )
    assert [_framed(tile, YELLOW) for tile in columns['patch']] == [1, 2]
    assert [_framed(tile, GREEN) for tile in columns['net: nearest']] == [3, 0]
    assert [_quarters(t)[1] for t in columns['net: nearest']] == [(90,) * 3, (0,) * 3]
    for tile in columns['truth: classes']:
        assert _quarters(tile) == [COLORS[0], COLORS[1], (0, 0, 0), COLORS[2]]


def test_clusters():
    ids, maps = [torch.tensor([2, 0, 1, 1])] * 2, [torch.tensor([[1, 0]])] * 2
    grids = dict(net=(2, 2))
    columns = judged.cluster_sheet(IMAGES, maps, dict(net=ids), grids, 3)
    assert _quarters(columns['photo'][0]) == [(90, 90, 90)] * 4
    assert _quarters(columns['classes'][1]) == [COLORS[1], COLORS[0]] * 2
    assert _quarters(columns['net: clusters'][1]) == [COLORS[i] for i in ids[1]]


def test_boxes():
    own = [torch.tensor([[0, 0, 0.5, 0.5]]), torch.zeros(0, 4)]
    found = torch.tensor([[0.5, 0.5, 1, 1], [0, 0, 1, 1]])
    first, second = judged.box_sheet(IMAGES, own, dict(net=found))['net']
    corners = [tuple(first[y, x].tolist()) for y, x in ((0, 0), (16, 16), (31, 31))]
    assert corners == [(255, 255, 255), GREEN, GREEN]
    assert tuple(first[8, 8].tolist()) == (90, 90, 90)
    assert tuple(second[31, 0].tolist()) == GREEN
