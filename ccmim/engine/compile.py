"""Transformer blocks as compiled kernels, block by block."""

import warnings
from types import MethodType

import torch
from torch import nn

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
