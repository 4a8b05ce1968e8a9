"""Faster models: compiled transformer blocks, and channels last in the heads."""

import warnings
from types import MethodType

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ccmim.engine.optim.autocast import follow_layout
from ccmim.registry import HOOKS
from ccmim.vit import Block

METHODS = ('forward', 'forward_scored', 'forward_windows')
MOST_VARIANTS = 64  # PyTorch's 8 are fewer than the samples that deep blocks may drop


def compile_blocks(model: nn.Module, backend: str = 'inductor') -> bool:
    """Compile the transformer blocks of a model in place, for the shapes they meet.

    Blocks are where the time goes, all of one kind share one compilation, and their
    shapes are few: the scoring pass, the visible and the masked tokens, the decoder.
    Deep copies (averaged weights, teachers) are compiled too, on their own weights.
    Where the compiler does not work, the model stays as it is and one warning says why.

    Args:
        model: Any model that contains ``ccmim.vit.Block``.
        backend: Of ``torch.compile``.

    Returns:
        Whether the blocks are compiled.
    """
    parameter = next(model.parameters())
    trial = Block(32, num_heads=2).to(parameter.device)
    try:
        compiled = torch.compile(trial, backend=backend, fullgraph=True)
        compiled(torch.zeros(2, 4, 32, device=parameter.device)).sum().backward()
    except Exception as error:  # whatever a compiler may raise
        reason = str(error).strip().splitlines()[0]
        warnings.warn(
            f'compile_blocks: torch.compile does not work here, continuing without it '
            f'({type(error).__name__}: {reason})',
            stacklevel=2,
        )
        return False
    torch._dynamo.config.cache_size_limit = MOST_VARIANTS  # its name in all versions
    blocks = [m for m in model.modules() if isinstance(m, Block)]
    for name in METHODS:
        method = getattr(Block, name)
        compiled = torch.compile(method, backend=backend, dynamic=False)
        for block in blocks:
            # A deep copy binds a bound method to the copied block, but not a function.
            setattr(block, name, MethodType(compiled, block))
    return True


def use_channels_last(model: nn.Module) -> None:
    """Store the weights of all convolutions outside the backbone as NHWC, in place.

    Maps (B, C, H, W) that pass them follow; numbers and names stay what they are. The
    backbone's only convolution is computed as a matrix product.

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
        follow_layout(runner.optim_wrapper.optimizer)
