"""The precisions that rows are measured in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

DTYPES = dict(fp32=torch.float32, tf32=torch.float32, bf16=torch.bfloat16)


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Allow TF32 in matrix products and convolutions for 'tf32', and forbid it else."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision('high' if precision == 'tf32' else 'highest')
    torch.backends.cudnn.allow_tf32 = precision == 'tf32'
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def autocast(precision: str, device_type: str) -> torch.autocast:
    """Give the context of a forward pass in 'fp32', 'tf32' or 'bf16'."""
    dtype = DTYPES[precision]
    return torch.autocast(device_type, dtype, enabled=dtype != torch.float32)
