"""From rounds to figures: medians of rounds, and ratios formed within each round."""

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from benchmarks.rows import Label
from benchmarks.timing import Round


def middle(values: Sequence[float]) -> tuple[float, float]:
    """Compute the median and the interquartile range (0 of a single value)."""
    if len(values) < 2:
        return values[0], 0.0
    low, center, high = quantiles(values, n=4, method='inclusive')
    return center, high - low


def ratio_of(
    reference: Sequence[float], values: Sequence[float]
) -> tuple[float, float]:
    """Compute how many times as fast a row is, each round against the same round.

    What slows a machine down for a while meets both sides of a round's ratio, so the
    median of the ratios is steadier than the ratio of the medians.

    Args:
        reference: Seconds of the reference in each round.
        values: Seconds of the row in the same rounds.

    Returns:
        Median and interquartile range of reference / row.
    """
    pairs = zip(reference, values, strict=True)
    return middle([theirs / own for theirs, own in pairs])


def summarize(
    label: Label,
    rounds: Sequence[Round],
    reference: Sequence[Round],
    steps: int,
    flops: float | None = None,
    peak_rate: float | None = None,
    saved_bytes: float | None = None,
    exact: Sequence[Round] = (),
) -> dict[str, Any]:
    """Compute the figures of a row.

    Args:
        label: The row.
        rounds: Its rounds; empty if it ran out of memory.
        reference: The rounds of the row that it is compared with.
        steps: Steps in each round.
        flops: Operations an image, if known.
        peak_rate: Operations a second of the device at the row's precision.
        saved_bytes: What a forward pass saves for the backward pass, an image.
        exact: The rounds of the row that this one is an option of.

    Returns:
        Columns by name, None where there is nothing to report. Times in milliseconds a
        step, memory in MB (1e6 bytes), shares and spreads in per cent.
    """
    row: dict[str, Any] = dict(label._asdict(), **dict.fromkeys(FIGURES))
    if saved_bytes is not None:
        row['saved_mb_per_image'] = saved_bytes / 1e6
    if not rounds:
        return row
    seconds = [each.seconds for each in rounds]
    center, spread = middle(seconds)
    rate = label.batch_size * steps / center
    row.update(
        images_per_s=rate,
        ms_per_step=1000 * center / steps,
        iqr_percent=100 * spread / center,
    )
    peaks = [each.peak_bytes for each in rounds if each.peak_bytes is not None]
    if peaks:
        row['peak_mb'] = median(peaks) / 1e6
    if flops and peak_rate:
        row['peak_percent'] = 100 * flops * rate / peak_rate
    # The loader's processes, and the GPU, work beside this process.
    by_cpu = label.level != 'files' and not peaks
    if reference:
        row['ratio'], row['ratio_iqr'] = _times(reference, rounds, by_cpu=False)
        if by_cpu:
            row['cpu_ratio'], _ = _times(reference, rounds, by_cpu)
    if exact:
        row['exact_ratio'], _ = _times(exact, rounds, by_cpu)
    return row


def _times(
    reference: Sequence[Round], rounds: Sequence[Round], by_cpu: bool
) -> tuple[float, float]:
    clock = 'cpu_seconds' if by_cpu else 'seconds'
    return ratio_of(
        *([getattr(r, clock) for r in rows] for rows in (reference, rounds))
    )


FIGURES = (
    'images_per_s',
    'ms_per_step',
    'iqr_percent',
    'ratio',
    'ratio_iqr',
    'cpu_ratio',
    'exact_ratio',
    'saved_mb_per_image',
    'peak_mb',
    'peak_percent',
)
