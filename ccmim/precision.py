"""Which precision a device computes in, and without a gradient."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

from ccmim.ranges import in_ranges

CPU_FLAGS = Path('/proc/cpuinfo')
BF16_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16'}  # x86, x86, ARM
# Values of oneDNN's ONEDNN_MAX_CPU_ISA that leave no instructions for bf16.
WITHOUT_BF16 = ('sse41', 'avx', 'avx2', 'avx2_vnni', 'avx512_core', 'avx512_core_vnni')
Precision = Literal['auto', 'float32', 'bfloat16']


def computes_in_bf16(device_type: str) -> bool:
    """Return whether a kind of device ('cuda' or 'cpu') has instructions for bf16.

    Of a CPU the flags that Linux lists decide; without that list the answer is no, and
    also where ``ONEDNN_MAX_CPU_ISA`` keeps oneDNN, which computes, from them.
    """
    if device_type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if os.environ.get('ONEDNN_MAX_CPU_ISA', '').lower() in WITHOUT_BF16:
        return False
    try:
        flags = CPU_FLAGS.read_text().split()
    except OSError:
        return False
    return not BF16_FLAGS.isdisjoint(flags)


@in_ranges
def precision_of(asked: Precision, device: str | torch.device) -> str:
    """Return 'bfloat16' or 'float32': for 'auto', bf16 where the device has it."""
    if asked == 'auto':
        kind = torch.device(device).type
        return 'bfloat16' if computes_in_bf16(kind) else 'float32'
    return asked


def computing_in(asked: Precision, device: str | torch.device) -> torch.autocast:
    """Give the context in which a network computes in a precision."""
    dtype = getattr(torch, precision_of(asked, device))
    kind = torch.device(device).type
    return torch.autocast(kind, dtype, enabled=dtype != torch.float32)


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without a gradient, as ``torch.no_grad``; also a decorator.

    To be used wherever weights that are being trained compute without a gradient.
    Autocast casts each weight once and keeps the cast for the rest of the step. Before
    torch 2.11 it also keeps casts made without a graph, and hands them to the pass with
    a gradient: the loss is the same, but the weight's gradient is missing. So within
    this context casts are neither kept nor taken from what is kept.
    """
    kept = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_autocast_cache_enabled(kept)
