"""What the probe keeps of the training; settings that cannot work are refused."""

from types import SimpleNamespace

import pytest
import torch

from ccmim.engine import ProbeHook


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
