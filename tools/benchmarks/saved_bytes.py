"""Memory that a forward pass keeps for the backward pass, counted, not sampled."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def saved_bytes(forward: Callable[[], Tensor], state: Iterable[Tensor]) -> int:
    """Count the bytes that autograd saves in a forward pass.

    The figure is the same in every run and on every device, as far as the same kernels
    are chosen.

    Args:
        forward: Computes something that could be differentiated.
        state: Tensors that live anyway, such as weights, and do not count.

    Returns:
        Bytes of the storages saved; one that is saved several times counts once.
    """
    known = {_storage(tensor) for tensor in state}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        # Holding the tensor keeps its address from being used again.
        if _storage(tensor) not in known:
            kept.setdefault(_storage(tensor), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    count = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del result
    return count


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
