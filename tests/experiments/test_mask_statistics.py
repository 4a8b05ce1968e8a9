"""How much of what samplers hide lies on objects."""

import json

import pytest
import torch
from PIL import Image

from ccmim.experiments.mask_statistics import (
    BEST,
    object_overlaps,
    photos_and_objects,
)
from ccmim.masking import RandomSampler, TopKSampler

OBJECT = slice(0, 32)  # pixels: four of the sixteen patches


class _Knowing(torch.nn.Module):
    """Scores that are highest on the object."""

    def forward(self, backbone, images):
        scores = torch.ones(len(images), 4, 4)
        scores[:, :2, :2] = 2.0
        return scores.flatten(1)


def test_samplers_are_between_chance_and_knowing_the_objects(tiny_mae):
    method = tiny_mae(mask_ratio=0.5)
    method.scorer = _Knowing()
    objects = torch.zeros(6, 64, 64, dtype=torch.bool)
    objects[:, OBJECT, OBJECT] = True
    samplers = dict(random=RandomSampler(), highest=TopKSampler())
    state = torch.get_rng_state()
    found = object_overlaps(method, samplers, torch.zeros(6, 3, 64, 64), objects, 100)
    assert torch.equal(torch.get_rng_state(), state)
    assert found[BEST] == pytest.approx(4 / 8 - 4 / 16)  # 4 of the 8 masked
    assert found['highest'] == pytest.approx(found[BEST])
    assert found['random'] == pytest.approx(0, abs=0.02)


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
