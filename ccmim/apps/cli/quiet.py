"""Keep mmengine's long listings out of the terminal; they stay in the log file."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

_LINES = 10  # a listing has more: the environment, the config, the order of the hooks


@contextmanager
def short_messages() -> Iterator[None]:
    """Keep listings of Runners that are built in this context off the terminal."""
    from mmengine.runner import Runner  # takes seconds, and few need it

    build = Runner.build_logger

    def build_quiet(*args: Any, **kwargs: Any) -> logging.Logger:
        logger = build(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_short)
        return logger

    Runner.build_logger = build_quiet
    try:
        yield
    finally:
        Runner.build_logger = build


@contextmanager
def no_messages() -> Iterator[None]:
    """Log nothing below an error, and show no warnings nor what libraries print."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(logging.NOTSET)


def _is_short(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return text.count('\n') < _LINES and 'will be deprecated' not in text
