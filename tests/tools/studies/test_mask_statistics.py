"""How much of what samplers hide lies on objects."""

import json

import pytest
import torch
from PIL import Image

from ccmim.masking import RandomSampler, TopKSampler
from studies.mask_statistics import mask_statistics, most_overlap, photos_and_objects

OBJECT = slice(0, 32)  # pixels: four of the sixteen patches


def _draws(scores, sampler):
    while True:
        yield scores, sampler(scores, 0.5)


def test_samplers_are_between_chance_and_knowing_the_objects():
    objects = torch.zeros(6, 64, 64, dtype=torch.bool)
    objects[:, OBJECT, OBJECT] = True
    scores = torch.ones(6, 4, 4)
    scores[:, :2, :2] = 2.0  # highest on the object
    state = torch.get_rng_state()
    known, chance = (
        mask_statistics(_draws(scores.flatten(1), sampler), objects, 16, draws=100)
        for sampler in (TopKSampler(), RandomSampler())
    )
    assert torch.equal(torch.get_rng_state(), state)
    best = 4 / 8 - 4 / 16  # of the 8 masked patches 4 lie on the object, of all 16, 4
    assert most_overlap(objects, 16, 0.5) == pytest.approx(best)
    assert known.overlap == pytest.approx(best)
    # The 8 masked score (4 * 2 + 4 * 1) / 8 in the mean, the visible 1, all 20 / 16.
    assert known.gap == pytest.approx((1.5 - 1) / 1.25)
    assert chance == pytest.approx((0, 0), abs=0.03)


def test_objects_are_the_union_of_their_masks_in_the_photo_as_it_is_squashed(tmp_path):
    pytest.importorskip('pycocotools')
    Image.new('RGB', (40, 20), (255, 0, 0)).save(tmp_path / 'a.png')
    image = dict(id=7, file_name='a.png', width=40, height=20)
    boxes = [[0, 0, 10, 0, 10, 20, 0, 20]], [[30, 0, 40, 0, 40, 20, 30, 20]]
    marks = [
        dict(id=i, image_id=7, category_id=1, segmentation=box, iscrowd=0, area=200)
        for i, box in enumerate(boxes, 1)
    ]
    empty = dict(id=8, file_name='b.png', width=4, height=4)
    content = dict(images=[empty, image], annotations=marks, categories=[dict(id=1)])
    (tmp_path / 'all.json').write_text(json.dumps(content))
    photos, objects = photos_and_objects(tmp_path, tmp_path / 'all.json', (16, 8))
    assert photos.shape == (1, 3, 16, 8)
    assert photos[0, :2].flatten(1).unique(dim=1).tolist() == [[255], [0]]
    assert objects[0].all(0).tolist() == [True] * 2 + [False] * 4 + [True] * 2
    assert objects[0].any(0).tolist() == objects[0].all(0).tolist()
