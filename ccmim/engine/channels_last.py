"""Convolutions of a dense task's heads with channels last in memory.

B batch, C channels, H W map.
"""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ccmim.registry import HOOKS


def use_channels_last(model: nn.Module) -> None:
    """Store the weights of all convolutions outside the backbone as NHWC, in place.

    Maps (B, C, H, W) that pass them follow; numbers and names stay what they are. The
    backbone's only convolution is computed as a matrix product. RoIAlign gets its maps
    contiguous from the pyramid, as its operators read them so.

    Args:
        model: A detector or segmentor with a ``backbone``.
    """
    for name, part in model.named_children():
        if name != 'backbone':
            part.to(memory_format=torch.channels_last)


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Train with channels last in the heads; see ``use_channels_last``."""

    def before_train(self, runner: Runner) -> None:
        """Convert the model before its first step."""
        wrapped = is_model_wrapper(runner.model)
        use_channels_last(runner.model.module if wrapped else runner.model)
