"""A checkpoint has the losses of all steps, those after the last log line too."""

from types import SimpleNamespace

import torch
from mmengine.logging import MessageHub

from ccmim.engine import DeferredRuntimeInfoHook


def test_losses_since_the_last_line_are_in_the_checkpoint():
    hub = MessageHub('losses since the last line')
    runner = SimpleNamespace(message_hub=hub)
    hook = DeferredRuntimeInfoHook()
    hook._pending = [dict(loss=torch.tensor(3.0)), dict(loss=torch.tensor(5.0))]
    checkpoint = dict(message_hub=hub.state_dict())  # as mmengine does, too early
    hook.before_save_checkpoint(runner, checkpoint)
    history = checkpoint['message_hub']['log_scalars']['train/loss']
    assert history.data[0].tolist() == [3.0, 5.0]
