"""What the probe keeps of the training; settings that cannot work are refused."""

from types import SimpleNamespace

import pytest
import torch

from ccmim.engine import ProbeHook
from ccmim.engine.hooks import probe


@pytest.mark.parametrize(
    ('steps', 'given', 'count'),
    [
        (2, {}, 25),  # a fiftieth of 10 epochs of 128 images
        (20, {}, 256),
        (1000, {}, 512),  # no more
        (2, dict(images=100), 100),
    ],
)
def test_a_short_epoch_is_measured_on_few_images(steps, given, count):
    hook = ProbeHook(interval=10, **given)
    runner = SimpleNamespace(train_dataloader=range(steps))
    for runner.iter in range(10 * steps - min(10 * steps, 40), 10 * steps):
        hook.before_train_iter(runner, 0, dict(inputs=torch.zeros(64, 1)))
    assert sum(map(len, hook._kept)) == count


@pytest.mark.parametrize('count', [6, 7, 8])
def test_features_of_three_processes_are_in_the_order_of_the_images(monkeypatch, count):
    """Each computes every third one; those that are computed twice are left out."""

    def features(model, loader):
        numbers = torch.tensor(list(loader.sampler))
        return numbers[:, None].float(), numbers

    parts = []
    monkeypatch.setattr(probe, '_features', features)
    monkeypatch.setattr(probe, 'all_gather', lambda mine: parts.append(mine) or [mine])
    runner = SimpleNamespace(train_dataloader=SimpleNamespace(num_workers=0))
    hook, data = ProbeHook(), list(range(count))
    for rank in range(3):
        monkeypatch.setattr(probe, 'get_dist_info', lambda rank=rank: (rank, 3))
        hook._all_features(None, runner, data)
    gathered = iter([parts[0::2], parts[1::2]])  # features, labels of all
    monkeypatch.setattr(probe, 'all_gather', lambda _: next(gathered))
    found, labels = hook._all_features(None, runner, data)
    assert found.flatten().tolist() == labels.tolist() == data
