"""Markdown tables of a comparison: means, differences, weight of a single image."""

from collections.abc import Mapping, Sequence

from ccmim.apps.compare.gains import Gain, Samples, find_gains
from ccmim.apps.compare.scores import DASH, Score, columns, mean_text, table
from ccmim.evaluation.samples import Classified, Matches


def markdown(
    scores: Sequence[Score],
    arms: Sequence[str],
    references: Sequence[str] | None = None,
    samples: Samples | None = None,
    known: Mapping[str, Sequence[Gain]] | None = None,
) -> str:
    """Write the table of means, and one of differences to each reference.

    Args:
        scores: All scores; what is missing is marked 'not run', NaN is a dash.
        arms: The rows.
        references: Some of the arms; the first one when None.
        samples: What each tested image adds, for the interval of a single run.
        known: The leads over the first arm, where they were found already: drawing
            the images anew takes seconds.

    Returns:
        Markdown.
    """
    heads = columns(scores)
    titles = [f'{task}: {metric}' for task, metric in heads]
    runs = {head: _runs(scores, *head) for head in heads}
    several = any(len(v) > 1 for of_arm in runs.values() for v in of_arm.values())
    means = [
        [arm, *(mean_text(runs[head].get(arm, []), several) for head in heads)]
        for arm in arms
    ]
    text = 'Mean and standard deviation over seeds (number of runs):\n\n'
    text = text if several else 'In per cent, one run each:\n\n'
    text += table(['', *titles], means)
    for reference in arms[:1] if references is None else references:
        by_arm = known if known and reference == arms[0] else {}
        leads = {
            arm: by_arm.get(arm) or find_gains(scores, arm, reference, samples)
            for arm in arms
            if arm != reference
        }
        rows = []
        for arm, gains in leads.items():
            of_head = {gain.head: gain for gain in gains}
            rows.append([arm, *(_lead(of_head.get(head)) for head in heads)])
        if rows:
            every = [gain for gains in leads.values() for gain in gains]
            text += f'\nDifference to {reference}{_of_ranges(every)}:\n\n'
            text += table(['', *titles], rows)
    return text


def weights_of_images(
    samples: Samples, fractions: Mapping[str, Mapping[str, float]] | None = None
) -> list[str]:
    """State on how many images each task was tested, and what one of them counts.

    Args:
        samples: What each tested image adds.
        fractions: Of the labels that were trained with, by the data and the task; all
            fractions of some data are tested on the same images.

    Returns:
        A line for each task, or all fractions of one.
    """
    data = {task: name for name, of in (fractions or {}).items() for task in of}
    lines = {}
    for (_, task, _, _), sample in samples.items():
        name, count = data.get(task, task), len(sample)
        what = f'{name}: {count:,} test image{"s" * (count != 1)}'
        if isinstance(sample, Classified):
            what += f': one is {100 / max(1, count):.2g} points'
        elif isinstance(sample, Matches):
            objects = int(sample.objects.sum())
            what += f' with {objects:,} object{"s" * (objects != 1)}'
        lines.setdefault(name, what)
    return list(lines.values())


def _runs(scores: Sequence[Score], task: str, metric: str) -> dict[str, list[float]]:
    by_arm: dict[str, list[float]] = {}
    for score in scores:
        if (score.task, score.metric) == (task, metric):
            by_arm.setdefault(score.arm, []).append(score.value)
    return by_arm


def _of_ranges(gains: Sequence[Gain]) -> str:
    """Explain the brackets of differences, if there are any."""
    kinds = {gain.seeds > 1 for gain in gains if gain.is_judged}
    of_seeds = "the 95 % confidence interval of its mean (Student's t)"
    of_images = 'the middle 95 % of draws of the test images (bootstrap, paired)'
    if kinds == {True}:
        return f', paired by seed, with {of_seeds}'
    if kinds == {False}:
        return f', with {of_images}'
    if kinds:
        return f', with {of_seeds}, of one seed {of_images}'
    return ', of one run each'


def _lead(gain: Gain | None) -> str:
    if gain is None:
        return 'not run'
    if gain.value != gain.value:
        return DASH
    return gain.text if gain.is_judged else f'{gain.text} (one seed)'
