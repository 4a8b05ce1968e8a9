import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from PIL import Image
from torch.utils.data import DataLoader

from ccmim.data import SampleKey, VisitSampler, unlabeled
from ccmim.registry import DATASETS

_TRANSFORM = [
    dict(type='ccmim.RandomResizedCrop', size=16),
    dict(type='ccmim.RandomHorizontalFlip'),
    dict(type='ccmim.ToUint8Tensor'),
]


def _dataset(data, **kwargs):
    config = dict(type='ccmim.UnlabeledImages', data=str(data), transform=_TRANSFORM)
    return DATASETS.build(config | kwargs)


def _batches(dataset, epochs=(0,), **kwargs):
    sampler = VisitSampler(dataset, seed=1)
    options = dict(kwargs, sampler=sampler, collate_fn=default_collate)
    loader = DataLoader(dataset, 4, **options)
    batches = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        batches += list(loader)
    return batches


def _equal(first, second):
    return len(first) == len(second) and all(
        torch.equal(a[name], b[name])
        for a, b in zip(first, second, strict=True)
        for name in ('inputs', 'data_samples')
    )


def test_a_batch_holds_bytes_and_the_indices_of_the_images(folder):
    dataset = _dataset(folder, transform=dict(type='ccmim.ToUint8Tensor'))
    batch = _batches(dataset)[0]
    assert batch['inputs'].dtype == torch.uint8
    assert batch['inputs'].shape == (4, 3, 20, 30)
    assert batch['data_samples'].dtype == torch.int64
    for image, index in zip(batch['inputs'], batch['data_samples'], strict=True):
        stored = np.asarray(Image.open(folder / f'{index:03d}.png'))
        assert np.array_equal(image.permute(1, 2, 0), stored)


def test_a_sample_is_a_function_of_its_key(folder):
    dataset = _dataset(folder)
    sample = dataset[SampleKey(1, 2, 3)]['inputs']
    torch.rand(5)
    assert torch.equal(dataset[SampleKey(1, 2, 3)]['inputs'], sample)
    assert not torch.equal(dataset[SampleKey(1, 3, 3)]['inputs'], sample)
    assert not torch.equal(dataset[SampleKey(2, 2, 3)]['inputs'], sample)
    assert torch.equal(dataset[3]['inputs'], dataset[SampleKey(0, 0, 3)]['inputs'])


@pytest.mark.parametrize(
    ('num_workers', 'persistent'), [(1, False), (2, False), (1, True), (2, True)]
)
def test_batches_do_not_depend_on_the_workers(folder, num_workers, persistent):
    alone = _batches(_dataset(folder), epochs=(0, 1))
    options = dict(num_workers=num_workers, persistent_workers=persistent)
    assert _equal(_batches(_dataset(folder), epochs=(0, 1), **options), alone)
    assert not _equal(alone[:3], alone[3:])


@pytest.mark.slow
def test_spawned_workers_give_the_same_and_share_what_they_found(folder):
    (folder / '003.png').write_bytes(b'')
    alone = _batches(_dataset(folder))
    dataset = _dataset(folder)
    options = dict(num_workers=1, multiprocessing_context='spawn')
    assert _equal(_batches(dataset, **options), alone)
    assert dataset.bad.indices == [3]


def test_loading_in_the_main_process_does_not_disturb_its_generator(folder):
    dataset = _dataset(folder)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    _ = dataset[0]
    assert torch.equal(torch.rand(3), expected)


def test_a_damaged_image_is_named_once_and_replaced_by_the_key(folder, messages):
    (folder / '003.png').write_bytes((folder / '003.png').read_bytes()[:400])
    dataset = _dataset(folder)
    sample = dataset[SampleKey(1, 0, 3)]
    assert sample['data_samples'] != 3
    again = dataset[SampleKey(1, 0, 3)]
    assert again['data_samples'] == sample['data_samples']
    assert torch.equal(again['inputs'], sample['inputs'])
    stand_ins = {dataset[SampleKey(1, v, 3)]['data_samples'] for v in range(20)}
    assert len(stand_ins) > 3
    assert len(messages) == 1
    assert '003.png (cut short: image file is truncated' in messages[0]


def test_the_share_is_counted_over_all_workers(folder):
    for i in range(0, 12, 3):
        (folder / f'{i:03d}.png').write_bytes(b'')
    dataset = _dataset(folder, max_bad_ratio=0.5)
    _batches(dataset, num_workers=2)
    assert dataset.bad.indices == [0, 3, 6, 9]


def test_a_larger_share_may_be_set_but_one_good_image_is_needed(folder):
    for i in range(11):
        (folder / f'{i:03d}.png').write_bytes(b'')
    dataset = _dataset(folder, max_bad_ratio=1)
    assert all(b['data_samples'].eq(11).all() for b in _batches(dataset))
    (folder / '011.png').write_bytes(b'')
    with pytest.raises(RuntimeError, match='12 of 12 images are damaged'):
        _batches(_dataset(folder, max_bad_ratio=1))
    with pytest.raises(ValueError, match='max_bad_ratio'):
        _dataset(folder, max_bad_ratio=1.5)


def test_two_images_may_not_all_be_damaged(tmp_path):
    Image.new('RGB', (20, 30)).save(tmp_path / '000.png')
    (tmp_path / 'bad.png').write_bytes(b'no')
    assert _dataset(tmp_path)[1]['data_samples'] == 0
    (tmp_path / '000.png').write_bytes(b'no')
    with pytest.raises(RuntimeError, match='2 of 2'):
        _ = _dataset(tmp_path)[0]


def test_it_pickles_and_says_how_large_it_is(folder):
    dataset = pickle.loads(pickle.dumps(_dataset(folder)))
    assert len(dataset) == 12
    assert dataset.metainfo == dict(num_images=12)
    with pytest.raises(IndexError):
        _ = dataset[12]


def test_a_share_is_always_the_same_and_part_of_a_larger_one(folder):
    def names(share):
        dataset = _dataset(folder, fraction=share)
        return [dataset.name(i) for i in range(len(dataset))]

    half, third = names(0.5), names(1 / 3)
    assert (len(half), len(third)) == (6, 4)
    assert set(third) < set(half)
    assert half == sorted(half) != names(1.0)[:6], 'from the whole folder'


def test_kept_in_memory_images_are_decoded_once_and_within_the_bound(
    folder, monkeypatch
):
    plain = _batches(_dataset(folder), epochs=(0, 1, 2))
    decoded = []
    original = unlabeled.decode_image
    monkeypatch.setattr(
        unlabeled, 'decode_image', lambda *a: decoded.append(1) or original(*a)
    )
    dataset = _dataset(folder, cache='ram')
    assert _equal(_batches(dataset, epochs=(0, 1, 2)), plain)
    assert len(decoded) == len(dataset)
    decoded.clear()
    small = _dataset(folder, cache='ram', cache_gb=3.5 * 4 * 20 * 30 / 1e9)
    assert _equal(_batches(small, epochs=(0, 1, 2)), plain)
    assert len(decoded) == 3 + 3 * (len(small) - 3)  # three fit in
    assert _equal(
        _batches(_dataset(folder, cache='ram'), (0, 1, 2), num_workers=2), plain
    )
