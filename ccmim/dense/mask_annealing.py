"""Annealing of EoMT's masked attention, so that inference needs none."""

from collections.abc import Sequence

from ccmim.ranges import Ratio

_POWER = 0.9


def kept_masks(
    step: int, steps: int, blocks: int, begin: float, end: float, length: float
) -> list[float]:
    """Compute how likely a query keeps its mask, for each block with queries.

    One block after the other: the first begins to lose its masks at ``begin``, the last
    has lost them at ``end``, and each takes ``length`` for it, by
    ``(1 - t) ** 0.9`` (https://arxiv.org/abs/2503.19108, section 3.3, and its code,
    whose steps are ``begin=1/6, end=5/6, length=1/6`` for any number of blocks).

    Args:
        step: Steps that are done.
        steps: Steps of the run.
        blocks: Number of blocks.
        begin: When the first begins, as a fraction of the run.
        end: When the last ends, likewise.
        length: How long each takes, likewise.

    Returns:
        Probabilities in [0, 1], in the order of the blocks.
    """
    apart = (end - length - begin) / max(blocks - 1, 1)
    return [
        _kept(step, round(first * steps), round((first + length) * steps))
        for first in (begin + i * apart for i in range(blocks))
    ]


def check_moments(moments: Sequence[Ratio]) -> None:
    """Refuse moments that do not follow one another.

    Raises:
        ValueError: If they do not.
    """
    begin, end, length = moments
    if length <= 0 or begin + length > end:
        raise ValueError(
            f'annealing={tuple(moments)} must be begin, end and length in fractions '
            'of the run, with begin + length up to end: (1/6, 5/6, 1/6) is published'
        )


def _kept(step: int, begin: int, end: int) -> float:
    if step < begin:
        return 1.0
    if step >= end:
        return 0.0
    return (1 - (step - begin) / (end - begin)) ** _POWER
