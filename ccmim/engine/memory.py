"""Memory that a training frees and soon wants again."""

import ctypes
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 2**31 - 1  # bytes; the most that mallopt takes
_LARGEST = 32 * 2**20  # bytes; the most that glibc puts among other blocks


def keep_freed_memory() -> bool:
    """Let the C library keep up to 2 GiB of freed memory, for the next step on a CPU.

    By default glibc returns to the system what a step has freed, if no block in use
    lies behind it, and the next step gets it back page by page, zeroed: a tenth of a
    step of a small detector. Blocks of more than 32 MiB are returned as before.

    Returns:
        Whether it does, which needs Linux and glibc.
    """
    if sys.platform != 'linux':
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:  # of another C library
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))
