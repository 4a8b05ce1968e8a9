"""A progress bar in a terminal, otherwise a line every ten seconds."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from ccmim.files import say

T = TypeVar('T')
_PAUSE = 10.0  # seconds from one line to the next


def progress(
    items: Iterable[T], what: str, total: int, unit: str, quiet: bool = False
) -> Iterator[T]:
    """Yield items, and show how many are done and how long the others will take.

    Args:
        items: What is worked on.
        what: Is done.
        total: How many items there are.
        unit: Of the items.
        quiet: Whether to show nothing.
    """
    if quiet or sys.stderr.isatty():
        yield from tqdm(items, what, total, unit=f' {unit}', disable=quiet, leave=False)
        return
    started = shown = time.monotonic()
    for number, item in enumerate(items):
        if (now := time.monotonic()) - shown >= _PAUSE and number:
            left = (now - started) / number * (total - number)
            done = f'{number:,} of {total:,} {unit}, about {left:.0f} s to go'
            say(f'{what} {done}', file=sys.stderr)
            shown = now
        yield item


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Report every ten seconds what runs and for how long, when no end is known.

    Args:
        what: Is done in this context.
    """
    started, done = time.monotonic(), threading.Event()

    def repeat() -> None:
        while not done.wait(_PAUSE):
            seconds = time.monotonic() - started
            say(f'{what}: {seconds:.0f} s', file=sys.stderr)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def duration(seconds: float) -> str:
    """Write a time as a person would say it."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    if seconds < 5400:
        return f'{seconds / 60:.0f} minutes'
    hours = seconds / 3600
    return f'{hours:.1f} hours' if hours < 48 else f'{hours / 24:.0f} days'
