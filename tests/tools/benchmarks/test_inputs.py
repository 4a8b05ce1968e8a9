"""Batches of 1/f noise, and batches from files."""

import torch

from benchmarks.inputs import from_files, from_memory, noise_batches
from benchmarks.ours import method_config

CPU = torch.device('cpu')


def test_noise_looks_like_photographs():
    """Power falls with frequency, values fill the range, batches differ."""
    first, second = noise_batches(70, 32, CPU, count=2)
    assert first.shape == (70, 3, 32, 32)
    assert first.dtype == torch.uint8
    values = first.float()
    assert 120 < values.mean() < 136
    assert 40 < values.std() < 55
    power = torch.fft.rfft2(values).abs().square().mean(dim=(0, 1))
    # Amplitudes fall as 1 / f, power as 1 / f squared: 16 at four times the frequency.
    assert 10 < power[0, 2] / power[0, 8] < 24
    assert not torch.equal(first, second)
    assert not torch.equal(first[:6], first[64:])


def test_noise_depends_on_the_seed_alone():
    again = noise_batches(2, 32, CPU, count=1)[0]
    assert torch.equal(again, noise_batches(2, 32, CPU, count=1)[0])
    assert not torch.equal(again, noise_batches(2, 32, CPU, count=1, seed=1)[0])


def test_batches_rotate():
    feed = from_memory(['a', 'b'])
    with feed() as batches:
        assert [next(batches) for _ in range(5)] == ['a', 'b', 'a', 'b', 'a']


def test_files_go_through_the_loader_of_the_config_without_end(image_folder):
    feed = from_files(method_config('ccmim', 's'), str(image_folder), 5, workers=0)
    for _ in range(2):
        with feed() as batches:
            drawn = [next(batches) for _ in range(4)]
        for batch in drawn:
            assert batch['inputs'].shape == (5, 3, 224, 224)
            assert batch['inputs'].dtype == torch.uint8
        seen = torch.cat([batch['data_samples'] for batch in drawn])
        assert set(seen.tolist()) == set(range(8))
