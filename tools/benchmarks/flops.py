"""Operations and memory that the algorithms need, and a device's best rate."""

import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks.precision import DTYPES, matmul_precision

# Forward and backward pass of one image of 224 px, multiply and add counted apart, the
# same for every code that computes it. Matrix products only. ccMIM without what does
# not change its result (a backward pass of the masked patches, unused rows of last
# blocks); MAE as published, of which ours spares the unused rows of the last block.
FLOPS = {
    ('ccmim', 's'): 52.4e9,
    ('ccmim', 'b'): 113.3e9,
    ('ccmim', 'l'): 328.8e9,
    ('ccmim score3', 's'): 45.6e9,
    ('ccmim score3', 'b'): 87.2e9,
    ('ccmim score3', 'l'): 221.4e9,
    ('ccmim cross', 's'): 27.4e9,
    ('ccmim cross', 'b'): 88.7e9,
    ('ccmim cross', 'l'): 304.6e9,
    ('ccmim cached', 's'): 44.1e9,
    ('ccmim cached', 'b'): 81.5e9,
    ('ccmim cached', 'l'): 211.4e9,
    ('ccmim masks2', 's'): 96.7e9,
    ('ccmim masks2', 'b'): 195.4e9,
    ('ccmim masks2', 'l'): 541.2e9,
    ('ccmim progressive', 's'): 39.0e9,
    ('ccmim progressive', 'b'): 84.9e9,
    ('ccmim progressive', 'l'): 246.4e9,
    ('mae', 's'): 38.9e9,
    ('mae', 'b'): 58.5e9,
    ('mae', 'l'): 124.2e9,
}


def peak_rate(precision: str, device: torch.device, repeats: int = 5) -> float:
    """Measure the rate of a large matrix product.

    Args:
        precision: 'fp32', 'tf32' or 'bf16'.
        device: Where.
        repeats: How many are timed; the fastest counts.

    Returns:
        Operations a second.
    """
    size = 8192 if device.type == 'cuda' else 1536
    factors = torch.randn(2, size, size, device=device).to(DTYPES[precision])
    fastest = float('inf')
    with matmul_precision(precision):
        for _ in range(repeats + 1):  # the first one warms up
            _wait(device)
            start = time.perf_counter()
            torch.mm(*factors)
            _wait(device)
            fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize()


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
