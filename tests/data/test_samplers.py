import random
from itertools import islice

import pytest
from torch.utils.data import Dataset

from ccmim.data import samplers
from ccmim.data.bad_images import BadPhotoError
from ccmim.data.randomness import SampleKey, replacements, seeded
from ccmim.data.seeded_samples import SeededSamples, seed_samples
from ccmim.registry import DATA_SAMPLERS


@pytest.fixture
def build(monkeypatch):
    def _build(kind='VisitSampler', size=10, rank=0, world_size=1, **kwargs):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world_size))
        config = dict(type=f'ccmim.{kind}', **kwargs)
        data = dict(dataset=range(size), seed=3)
        return DATA_SAMPLERS.build(config, default_args=data)

    return _build


def test_an_epoch_passes_every_sample_once_under_its_key(build):
    sampler = build(size=10)
    sampler.set_epoch(4)
    keys = list(sampler)
    assert len(sampler) == len(keys) == 10
    assert {key[:2] for key in keys} == {(3, 4)}
    assert sorted(key.index for key in keys) == list(range(10))
    assert all(isinstance(key, SampleKey) for key in keys)


def test_every_epoch_has_its_own_order_and_a_resumed_one_repeats_it(build):
    straight, resumed, epochs = build(size=30), build(size=30), []
    for epoch in range(4):
        straight.set_epoch(epoch)
        epochs.append(list(straight))
    assert len({tuple(key.index for key in keys) for keys in epochs}) == 4
    resumed.set_epoch(2)
    assert list(resumed) == epochs[2]


def test_seed_changes_the_order_and_no_shuffle_keeps_it(build):
    first, second = list(build(size=30)), list(build(size=30, seed=4))
    assert [k.index for k in first] != [k.index for k in second]
    plain = list(build(size=5, shuffle=False))
    assert plain == [SampleKey(3, 0, i) for i in range(5)]


def test_two_ranks_see_the_global_batches_of_one(build):
    whole = list(build(size=12))
    ranks = [list(build(size=12, rank=rank, world_size=2)) for rank in range(2)]
    for batch in range(3):
        joined = [key for keys in ranks for key in keys[2 * batch : 2 * batch + 2]]
        assert set(joined) == set(whole[4 * batch : 4 * batch + 4])


@pytest.mark.parametrize('size', [1, 7, 8, 9])
def test_round_up_fills_the_ranks_from_the_front_of_the_order(build, size):
    whole = list(build(size=size))
    samplers_ = [build(size=size, rank=rank, world_size=4) for rank in range(4)]
    ranks = [list(sampler) for sampler in samplers_]
    assert {len(keys) for keys in ranks} == {len(samplers_[0])} == {-(-size // 4)}
    merged = [key for step in zip(*ranks, strict=True) for key in step]
    expected = (whole * 4)[: len(merged)]
    assert merged == expected


@pytest.mark.parametrize('size', [1, 7, 8, 9])
def test_without_round_up_the_ranks_partition_the_set(build, size):
    merged = []
    for rank in range(4):
        sampler = build(size=size, rank=rank, world_size=4, round_up=False)
        keys = list(sampler)
        assert len(keys) == len(sampler)
        merged += keys
    assert sorted(merged) == sorted(build(size=size))


def test_the_endless_stream_is_the_epochs_one_after_another(build):
    endless, epochs = build('InfiniteVisitSampler', size=7), build(size=7)
    expected = []
    for epoch in range(3):
        epochs.set_epoch(epoch)
        expected += list(epochs)
    assert list(islice(endless, 21)) == expected
    assert len(endless) == 7


@pytest.mark.parametrize(('size', 'world_size'), [(7, 2), (3, 8), (1, 3), (8, 4)])
def test_ranks_share_the_endless_stream_without_a_seam(build, size, world_size):
    whole = list(islice(build('InfiniteVisitSampler', size=size), 5 * world_size))
    for rank in range(world_size):
        sampler = build('InfiniteVisitSampler', size, rank, world_size)
        assert list(islice(sampler, 5)) == whole[rank::world_size]


@pytest.mark.parametrize('skipped', [0, 1, 6, 7, 50])
def test_skip_is_absolute_and_continues_the_stream(build, skipped):
    straight = list(islice(build('InfiniteVisitSampler', 7, 1, 2), skipped + 9))
    sampler = build('InfiniteVisitSampler', 7, 1, 2)
    sampler.skip(3)
    sampler.skip(skipped)
    sampler.set_epoch(5)
    assert list(islice(sampler, 9)) == straight[skipped:]
    with pytest.raises(ValueError, match='num_samples'):
        sampler.skip(-1)


class Drawn(Dataset):
    """Draws from Python's generator, as mmdet's transforms do; 0 is damaged."""

    note = 'its own'

    def __getitem__(self, index):
        if index == 0:
            raise BadPhotoError.of('/photos/0.jpg', OSError('cut short'))
        return index, random.random()

    def __len__(self):
        return 9

    def get_data_info(self, index):
        return dict(width=index)


def test_what_a_data_set_draws_follows_from_the_key():
    samples, key = SeededSamples(Drawn()), SampleKey(3, 1, 4)
    with seeded(key):
        expected = 4, random.random()
    assert samples[key] == samples[tuple(key)] == expected
    assert samples[SampleKey(3, 2, 4)] != expected
    random.seed(5)
    plain = samples[4]
    random.seed(5)
    assert plain == (4, random.random())  # a number alone seeds nothing
    assert (len(samples), samples.note) == (9, 'its own')
    assert samples.get_data_info(key) == samples.get_data_info(4) == dict(width=4)


def test_what_stands_in_for_a_damaged_photo_follows_from_the_key():
    samples, shown = SeededSamples(Drawn()), set()
    for visit in range(20):
        key = SampleKey(3, visit, 0)
        others = replacements(key, 9)
        with seeded(key):
            assert samples[key] == (next(i for i in others if i), random.random())
        shown.add(samples[key][0])
    assert len(shown) > 3
    assert samples.bad._names == {'/photos/0.jpg': 'not readable: cut short'}


def test_loaders_of_mmengine_get_our_samplers():
    data, other = dict(type='Toy'), dict(sampler=dict(type='ClassAwareSampler'))
    for kind in ('DefaultSampler', 'mmengine.InfiniteSampler'):
        loader = dict(sampler=dict(type=kind, shuffle=True), dataset=data, batch_size=2)
        name = {'D': 'VisitSampler', 'm': 'InfiniteVisitSampler'}[kind[0]]
        assert seed_samples(loader) == dict(
            sampler=dict(type=f'ccmim.{name}', shuffle=True),
            dataset=dict(type='ccmim.SeededSamples', dataset=data),
            batch_size=2,
        )
    for loader in (None, {}, other):
        assert seed_samples(loader) is loader


@pytest.mark.parametrize('kind', ['VisitSampler', 'InfiniteVisitSampler'])
def test_an_empty_set_is_refused_instead_of_searched_for_ever(build, kind):
    with pytest.raises(ValueError, match='dataset is empty'):
        build(kind, size=0)


def test_without_a_seed_one_is_drawn_and_shared(build, monkeypatch):
    monkeypatch.setattr(samplers, 'sync_random_seed', lambda: 11)
    assert next(iter(build(seed=None))).seed == 11
    assert next(iter(build('InfiniteVisitSampler', seed=None))).seed == 11
