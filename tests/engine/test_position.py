"""The place of a run in its data, counted in other steps."""

import pytest

from ccmim.checkpoints import ResumeError
from ccmim.engine.resume.position import Steps, convert_position


def _steps(processes, batch, images):
    return Steps(processes, batch, 1, images, images // (processes * batch))


@pytest.mark.parametrize(
    ('epoch', 'step', 'old', 'new', 'expected'),
    [
        (0, 0, (8, 64), (4, 64), 0),
        (0, 6, (8, 64), (4, 64), 12),
        (11, 11 * 19 + 6, (8, 64), (4, 64), 11 * 39 + 12),  # 3,072 of 10,000
        (11, 11 * 39 + 12, (4, 64), (8, 64), 11 * 19 + 6),
        (11, 11 * 19 + 6, (8, 64), (1, 48), 11 * 208 + 64),
        (12, 12 * 19, (8, 64), (8, 60), 12 * 20),  # the end of an epoch
        (11, 12 * 19, (8, 64), (8, 60), 12 * 20),  # called so before it is over
    ],
)
def test_the_images_that_were_seen_decide(epoch, step, old, new, expected):
    old, new = _steps(*old, 10_000), _steps(*new, 10_000)
    assert convert_position(epoch, step, old, new) == expected


def test_a_position_between_two_steps():
    old, new = _steps(4, 64, 10_000), _steps(8, 64, 10_000)
    with pytest.raises(ResumeError) as caught:
        convert_position(11, 11 * 39 + 13, old, new)
    assert str(caught.value) == (
        'the checkpoint is after image 3,328 of epoch 12, which is no multiple of 64 '
        'images x 8 processes: its position in the data cannot be kept. Resume from '
        'the end of an epoch, or choose train_dataloader.batch_size so that the '
        'product divides 3,328'
    )


def test_a_step_outside_its_epoch():
    steps = _steps(1, 2, 8)
    text = 'at step 9 in epoch 2, which has steps 4 to 8'
    with pytest.raises(ResumeError, match=text):
        convert_position(1, 9, steps, steps)
