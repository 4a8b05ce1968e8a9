"""Run a check on the main process for all."""

from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, is_main_process

T = TypeVar('T')


def on_main(check: Callable[[], T]) -> T:
    """Run a check on the main process; all processes get its answer, or its error.

    Args:
        check: What to run.

    Returns:
        What it returned.

    Raises:
        ValueError: If it raised a ValueError or an OSError.
    """
    answer: list[Any] = [None, None]
    if is_main_process():
        try:
            answer[0] = check()
        except (OSError, ValueError) as error:
            answer[1] = str(error)
    broadcast_object_list(answer)
    result, error_text = answer
    if error_text is not None:
        raise ValueError(error_text)
    return result
