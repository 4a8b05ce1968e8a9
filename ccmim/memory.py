"""How a process keeps the memory that it will need again."""

import ctypes
import os
import platform

# Parameters of mallopt, by their numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_memory() -> bool:
    """Keep what is freed for the next step instead of giving it back to the system.

    A training step on a CPU allocates the same large tensors again and again. By
    default the C library asks the system for each and returns it, and the system has
    to clear every page anew. Afterwards the process holds as much as it has needed at
    most, and results are the same; processes that it forks do likewise.

    Nothing changes with another C library than glibc, or where the environment sets
    ``MALLOC_...`` or ``GLIBC_TUNABLES`` itself.

    Returns:
        Whether it is so now.
    """
    chosen = any(name.startswith(('MALLOC_', 'GLIBC_TUNABLES')) for name in os.environ)
    if chosen or platform.libc_ver()[0] != 'glibc':
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # No block by a mapping of its own, and none of the heap's end given back.
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))
