"""The tables of the study's page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ccmim.apps.compare.curves import MINUTES, Point, values_of
from ccmim.apps.compare.scores import Score, table
from ccmim.apps.compare.tables import markdown
from studies.budgets import Budget
from studies.results import MASKS
from studies.study import (
    EQUAL_COMPUTE,
    config_of,
    cost,
    equal_epochs,
    known_arms,
)

_REFERENCES = ('random', 'mae', 'ccmim')


def tables(
    root: Path,
    budget: Budget,
    scores: Sequence[Score],
    points: Sequence[Point],
    folder: Path,
) -> str:
    """Write the section of a budget.

    Args:
        root: The checkout.
        budget: The budget.
        scores: All scores.
        points: All points.
        folder: Where its files and pictures are; the page is two folders above.

    Returns:
        Markdown.
    """
    pictures = '/'.join(folder.parts[-2:])
    arms = known_arms(root, budget)
    if not scores:
        return 'No run of this budget is recorded.\n'
    planned = (arm + EQUAL_COMPUTE for arm in arms if _is_shortened(root, budget, arm))
    others = (score.arm for score in scores if score.arm not in arms)
    shorter = list(dict.fromkeys([*planned, *others]))  # nothing recorded is left out
    run = {score.arm for score in scores}
    arms, shorter = ([a for a in group if a in run] for group in (arms, shorter))
    references = [arm for arm in _REFERENCES if arm in arms]
    head = ['', 'GF an image', 'epochs', 'compute', 'minutes', 'importance gap']
    facts = [_facts(root, budget, points, arm) for arm in [*arms, *shorter]]
    parts = [
        f'**Equal epochs ({budget.epochs}).** {_marked(scores, arms, references)}',
        f'![A dot for each seed, a tick at the mean]({pictures}/scores.png)\n',
        '**What a run costs, and what its masks are**: the importance gap at the first '
        f'and the last epoch.\n\n{table(head, facts)}',
    ]
    if shorter:
        text = _marked(scores, ['random', 'mae', *shorter], ['mae'])
        parts.insert(1, f'**Equal compute.** {text}')
    if points:
        parts.append(f'![Mean and range of the seeds]({pictures}/curves.png)\n')
    for arm, name in MASKS.items():
        if (folder / name).exists():
            parts.append(
                f'Masks of {arm} after the first epoch (left) and the last one:\n\n'
                f'![Masks]({pictures}/{name})\n'
            )
    return '\n'.join(parts)


def _marked(
    scores: Sequence[Score], arms: Sequence[str], references: Sequence[str]
) -> str:
    """Write the tables of some arms, a dash where a measure was not taken."""
    return markdown(scores, arms, references).replace('| not run ', '| - ')


def _is_shortened(root: Path, budget: Budget, arm: str) -> bool:
    config = config_of(root, arm, budget.kind)
    return config is not None and equal_epochs(root, config, budget) > 0


def _facts(root: Path, budget: Budget, points: Sequence[Point], arm: str) -> list[str]:
    config = config_of(root, arm.removesuffix(EQUAL_COMPUTE), budget.kind)
    if config is None:
        return [arm, *'-----']
    minutes = values_of(points, arm, MINUTES)
    if not minutes:
        return [arm, f'{cost(config) / 1e9:.2f}', *'----']
    epochs = max(minutes)
    ratio = cost(config) / cost(config_of(root, 'mae', budget.kind))
    gaps = [
        f'{np.mean(list(by_seed.values())):+.3f}'
        for by_seed in values_of(points, arm, 'importance gap').values()
    ]
    return [
        arm,
        f'{cost(config) / 1e9:.2f}',
        f'{epochs}',
        f'{ratio * epochs / budget.epochs:.2f} x MAE',
        f'{np.mean(list(minutes[epochs].values())):.1f}',
        f'{gaps[0]}, {gaps[-1]}' if gaps else '-',
    ]


def fill(page: Path, name: str, text: str) -> None:
    """Put a text between the two marks of a page.

    Args:
        page: Markdown with the lines ``<!-- NAME -->`` and ``<!-- end of NAME -->``.
        name: What the marks say.
        text: What is to stand there in place of what does.

    Raises:
        ValueError: If the page lacks the marks.
    """
    begin, end = f'<!-- {name} -->\n', f'<!-- end of {name} -->'
    before, mark, rest = page.read_text().partition(begin)
    _, close, after = rest.partition(end)
    if not (mark and close):
        raise ValueError(f'{page} lacks the lines {begin.strip()} and {end}')
    page.write_text(f'{before}{begin}\n{text}\n{close}{after}')
