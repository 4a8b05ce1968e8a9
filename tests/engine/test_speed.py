"""The log says how many images a second, and what share was spent waiting."""

from types import SimpleNamespace

import pytest
from mmengine.hooks import IterTimerHook, LoggerHook
from mmengine.logging import MessageHub
from mmengine.runner import get_priority

from ccmim.engine import SpeedHook


def test_rate_and_share_of_a_step():
    hub = MessageHub.get_instance('speed')
    for seconds in (9.0, *[0.4] * 5, *[0.6] * 5):  # the first is out of the window
        hub.update_scalar('train/time', seconds)
        hub.update_scalar('train/data_time', seconds / 5)
    runner = SimpleNamespace(message_hub=hub)
    SpeedHook().after_train_iter(runner, 1, data_batch=dict(inputs=[0] * 16))
    assert hub.get_scalar('train/images_per_second').current() == pytest.approx(32)
    assert hub.get_scalar('train/loader_ratio').current() == pytest.approx(0.2)


def test_it_runs_between_the_timer_and_the_logger():
    hooks = (IterTimerHook, SpeedHook, LoggerHook)
    timer, speed, logger = (get_priority(hook.priority) for hook in hooks)
    assert timer < speed < logger
