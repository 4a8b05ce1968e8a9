"""Passes without a gradient that leave nothing behind for those with one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
