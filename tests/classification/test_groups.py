"""Groups of images of one class: all images come, in an order of (seed, epoch)."""

import numpy as np
import pytest
from mmengine.config import Config

from ccmim.classification import GroupSampler
from ccmim.engine.settings import check_groups

LABELS = np.array([0, 1, 2, 0, 1, 0, 2, 2, 0, 1, 0])  # 5, 3 and 3 images


class Pets(list):
    """Images of which the classes are known."""

    labels = property(np.array)
    metainfo = dict(classes=['cat', 'dog', 'owl'])


def _indices(epoch=0, seed=3, size=2):
    sampler = GroupSampler(Pets(LABELS), size, seed)
    sampler.set_epoch(epoch)
    keys = list(sampler)
    assert len(keys) == len(sampler)
    assert {key[:2] for key in keys} == {(seed, epoch)}
    return [key.index for key in keys]


def test_every_image_comes_beside_another_of_its_class():
    for epoch in range(20):
        found = np.array(_indices(epoch)).reshape(-1, 2)
        assert set(found.flatten().tolist()) == set(range(11))
        assert len(found) == 3 + 2 + 2  # an image more in each odd class
        for a, b in found:
            assert LABELS[a] == LABELS[b]
            assert a != b
    assert _indices(1) == _indices(1) != _indices(2)
    assert _indices(1, seed=4) != _indices(1)


def test_ranks_take_turns_with_groups(monkeypatch):
    """Seven groups for two ranks: the first comes again."""
    alone, parts = _indices(), []
    for rank in range(2):
        module = 'ccmim.classification.groups.get_dist_info'
        monkeypatch.setattr(module, lambda rank=rank: (rank, 2))
        parts.append(np.array(_indices()).reshape(-1, 2))
    together = np.stack(parts, axis=1).reshape(-1, 2)  # (8, 2)
    assert together[:7].flatten().tolist() == alone
    assert together[7].tolist() == alone[:2]


def test_orders_are_without_a_preference():
    """Each class begins an epoch as often as it has images, about."""
    first = [LABELS[_indices(epoch)[0]] for epoch in range(400)]
    shares = np.bincount(first) / 400
    assert shares == pytest.approx([5 / 11, 3 / 11, 3 / 11], abs=0.08)


def test_impossible_groups_are_named():
    for labels, size, message in (
        ([0, 0, 1], 2, "class 'dog' has 1 image to train on, and group_size=2 want"),
        ([0, 0, 1, 1, 1], 3, "class 'cat' has 2 images .* set group_size=2 or less"),
    ):
        with pytest.raises(ValueError, match=message):
            GroupSampler(Pets(labels), size)
    with pytest.raises(ValueError, match='group_size=1 must be a whole number from 2'):
        GroupSampler(Pets(LABELS), 1)
    with pytest.raises(ValueError, match='wants a data set with labels, and list has'):
        GroupSampler([1, 2, 3])
    sampler = dict(type='ccmim.GroupSampler', group_size=4)
    cfg = Config(dict(train_dataloader=dict(batch_size=6, sampler=sampler)))
    with pytest.raises(ValueError, match='batch_size=6 cuts groups of .*group_size=4:'):
        check_groups(cfg)
    cfg.train_dataloader.batch_size = 8
    check_groups(cfg)
