"""What published code of 2021 to 2023 expects of its surroundings.

Nothing of it stays in place: each function is a context.
"""

import sys
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import timm.layers
import timm.models.vision_transformer as timm_vit
import torch
from torch import distributed


@contextmanager
def importing(folder: Path) -> Iterator[None]:
    """Import modules from a clone, with old names of timm and torch in place.

    Afterwards the clone's modules are forgotten by name, as the next clone calls its
    own the same; not those of a package with the clone's name, which looks for itself.
    """
    with ExitStack() as stack:
        stack.enter_context(patch.object(sys, 'path', [str(folder), *sys.path]))
        stack.enter_context(patch.object(sys, 'dont_write_bytecode', True))
        old = _old_modules()
        before = {name: sys.modules.get(name) for name in old}
        sys.modules.update(old)
        stack.enter_context(patch.object(timm_vit, 'Block', _block))
        stack.enter_context(patch.object(timm_vit, 'Mlp', timm.layers.Mlp, create=True))
        try:
            yield
        finally:
            for name, module in list(sys.modules.items()):
                is_of = str(getattr(module, '__file__', None)).startswith(f'{folder}/')
                if is_of and name.split('.')[0] != folder.name:
                    del sys.modules[name]
            for name, module in before.items():
                sys.modules.pop(name)
                if module is not None:
                    sys.modules[name] = module


@contextmanager
def running(device_type: str) -> Iterator[None]:
    """Run published code on a device; on a CPU what it does with a GPU is left out."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(np, 'float', float, create=True))
        if device_type == 'cpu':
            stack.enter_context(
                patch.object(torch.Tensor, 'cuda', lambda tensor, *_, **__: tensor)
            )
            stack.enter_context(patch.object(torch.cuda, 'synchronize', lambda: None))
        yield


@contextmanager
def one_process_group() -> Iterator[None]:
    """Give collective operations a group to run in, unless there is one."""
    if distributed.is_initialized():
        yield
        return
    backend = 'cpu:gloo,cuda:nccl' if torch.cuda.is_available() else 'gloo'
    distributed.init_process_group(
        backend, store=distributed.HashStore(), rank=0, world_size=1
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _old_modules() -> dict[str, types.ModuleType]:
    six = types.ModuleType('torch._six')
    six.inf = float('inf')
    helpers = types.ModuleType('timm.models.layers.helpers')
    helpers.to_2tuple = timm.layers.to_2tuple
    layers = types.ModuleType('timm.models.layers')
    layers.DropPath, layers.helpers = timm.layers.DropPath, helpers
    # Its language models end in a TypeError beside transformers 5.
    multimodal = types.ModuleType('mmpretrain.models.multimodal')
    modules = (six, helpers, layers, multimodal)
    return {module.__name__: module for module in modules}


_Block = timm_vit.Block


def _block(*args: Any, qk_scale: None = None, **kwargs: Any) -> torch.nn.Module:
    # timm dropped the argument. Its block now has fused attention, so that published
    # code which builds on it runs faster than it did.
    return _Block(*args, **kwargs)
