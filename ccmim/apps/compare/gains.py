"""Gains with confidence intervals, and what may be concluded from them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ccmim.apps.compare.scores import Score, columns, difference
from ccmim.evaluation.resampling import difference_range
from ccmim.evaluation.samples import Sample

Samples: TypeAlias = Mapping[tuple[str, str, int, str], Sample]
"""What each tested image adds, by arm, task, seed and metric."""


class Gain(NamedTuple):
    """How far one start is ahead of another in one measure.

    Attributes:
        measure: What was measured.
        value: The difference, in per cent.
        low: Least value that chance leaves, with 95 % confidence; NaN if unknown.
        high: Greatest such value.
        seeds: How many runs of each it is the mean of.
        head: The task and the metric.
    """

    measure: str
    value: float
    low: float = float('nan')
    high: float = float('nan')
    seeds: int = 1
    head: tuple[str, str] = ('', '')

    @property
    def text(self) -> str:
        """The difference and its range."""
        if self.is_judged:
            return f'{self.value:+.1f} [{self.low:+.1f}, {self.high:+.1f}]'
        return f'{self.value:+.1f}'

    @property
    def is_judged(self) -> bool:
        """Whether the range is known."""
        return self.low <= self.high  # not so if one of them is NaN


def verdict(who: str, gains: Sequence[Gain]) -> str:
    """Summarize where an initialization is ahead, behind or undecided.

    A difference whose range holds 0 is called none, whatever its size.

    Args:
        who: The start, or what made it: the beginning of the sentence.
        gains: Its leads.

    Returns:
        One sentence or several; empty without gains.
    """
    judged = [gain for gain in gains if gain.is_judged]
    ahead = [gain for gain in judged if gain.low > 0]
    behind = [gain for gain in judged if gain.high < 0]
    level = [gain for gain in judged if gain.low <= 0 <= gain.high]
    unknown = [gain for gain in gains if not gain.is_judged]
    parts = []
    if ahead:
        parts.append(f'{who} is ahead in {_listed(ahead)}.')
    if behind:
        parts.append(f'{who} is behind in {_listed(behind)}.')
    if level:
        parts.append(f'No significant difference in {_listed(level)}.')
    if unknown:
        parts.append(f'No interval from a single run for {_listed(unknown)}.')
    return ' '.join(parts)


def find_gains(
    scores: Sequence[Score], arm: str, reference: str, samples: Samples | None = None
) -> list[Gain]:
    """Compute how far an arm is ahead of another, and how much may be chance.

    Of several seeds the range is Student's, of the differences seed by seed. Of one
    it is the bootstrap's over the tested images, where what they add is known.

    Args:
        scores: All scores.
        arm: Whose lead.
        reference: Over whom.
        samples: What each tested image adds.

    Returns:
        A gain for each measure that both have; with several tasks its name holds that
        of the task.
    """
    gains, heads = [], columns(scores)
    several = len({task for task, _ in heads}) > len({metric for _, metric in heads})
    for task, metric in heads:
        lead = difference(scores, arm, reference, task, metric)
        if lead is None:
            continue
        name = f'{task}: {metric}' if several else metric
        low, high = lead.mean - lead.half_width, lead.mean + lead.half_width
        if lead.count == 1:
            low, high = _range(samples or {}, arm, reference, task, metric)
        gains.append(Gain(name, lead.mean, low, high, lead.count, (task, metric)))
    return gains


def at_ends(
    gains: Sequence[Gain], fractions: Mapping[str, Mapping[str, float]]
) -> list[Gain]:
    """Leave out what lies between the fewest and the most labels.

    Args:
        gains: Of all tasks.
        fractions: Of the labels that were trained with, by the data and the task.

    Returns:
        Gains that say in words how many labels they are with, where there is a curve.
    """
    of_task = {task: name for name, tasks in fractions.items() for task in tasks}
    ends = []
    for gain in gains:
        task, metric = gain.head
        name = of_task.get(task, '')
        tasks = fractions.get(name, {})
        if len(tasks) < 2:
            ends.append(gain)
        elif tasks[task] in (min(tasks.values()), max(tasks.values())):
            part = f'{100 * tasks[task]:.3g} % of the' if tasks[task] < 1 else 'all'
            measure = (
                f'{name}: ' * (len(fractions) > 1) + f'{metric} with {part} labels'
            )
            ends.append(gain._replace(measure=measure))
    return ends


def _range(
    samples: Samples, arm: str, reference: str, task: str, metric: str
) -> tuple[float, float]:
    """The bootstrap's range for the one seed that both have."""
    ours, theirs = (
        {seed: s for (a, t, seed, m), s in samples.items() if (a, t, m) == key}
        for key in ((arm, task, metric), (reference, task, metric))
    )
    for seed in ours.keys() & theirs.keys():
        if len(ours[seed]) == len(theirs[seed]):
            return difference_range(ours[seed], theirs[seed])
    return float('nan'), float('nan')


def _listed(gains: Sequence[Gain]) -> str:
    *others, last = [f'{gain.measure} ({gain.text})' for gain in gains]
    return f'{", ".join(others)} and {last}' if others else last
