"""The report of a transfer: the conclusion, and what it was drawn from."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ccmim.apps.cli.transfer_figures import PRETRAINED, SCRATCH
from ccmim.apps.compare import at_ends, mean_text, verdict, weights_of_images
from ccmim.apps.compare.gains import Gain, Samples
from ccmim.apps.compare.scores import Score, columns
from ccmim.apps.report.page import Details, Summary, write_page
from ccmim.apps.runs.folder import find_runs
from ccmim.checkpoints import Weights
from ccmim.labels.layouts import Labeled, describe


class Page:
    """What is known of a transfer, and the parts of its page.

    Args:
        arms: Random weights, and those that are judged.
        data: By name of the task.
        scores: All scores.
        samples: What each tested image adds.
        gains: Of pretraining.
        fractions: Of the labels that were trained with, by the data and the task.
    """

    def __init__(
        self,
        arms: tuple[str, str],
        data: Mapping[str, Labeled],
        scores: Sequence[Score],
        samples: Samples,
        gains: Sequence[Gain],
        fractions: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._gains, self._fractions = gains, fractions
        self._arms, self._data = arms, data
        self._scores, self._samples = scores, samples
        self._titles = dict(zip(arms, (SCRATCH, PRETRAINED), strict=True))

    def answer(self) -> tuple[str, list[list[str]]]:
        """Summarize what pretraining gains in a sentence, with its table."""
        random, ours = self._arms
        heads = columns(self._scores)
        known = {gain.head: gain.text for gain in self._gains}
        table = [['', *(f'{task}: {metric}' for task, metric in heads)]]
        for arm in (ours, random):
            cells = []
            for head in heads:
                values = [
                    s.value
                    for s in self._scores
                    if (s.arm, s.task, s.metric) == (arm, *head)
                ]
                cells.append(mean_text(values))
            table.append([self._titles[arm], *cells])
        table.append(['gain', *(known.get(head, '') for head in heads)])
        shown = at_ends(self._gains, self._fractions)
        return verdict('The pretrained network', shown), table

    def tested(self) -> list[str]:
        """State on how many images each task was tested, and what one counts."""
        return [f'{x}.' for x in weights_of_images(self._samples, self._fractions)]

    def facts(
        self, args: Namespace, weights: Weights, versions: Iterable[str]
    ) -> list[list[str]]:
        """Name weights, data and settings."""
        a = weights.architecture
        count = sum(value.numel() for value in weights.state.values())
        rows = [['', ''], ['weights', str(args.checkpoint)]]
        rows.append(
            [
                'network',
                f'ViT of width {a.embed_dim}, depth {a.depth}, {a.num_heads} heads, '
                f'patches of {a.patch_size} px; {count / 1e6:.1f} million parameters',
            ]
        )
        shown: dict[str, list[str]] = {}  # parts of the labels are of the same data
        for name, data in self._data.items():
            tested = {len(s) for key, s in self._samples.items() if key[1] == name}
            count = f', {max(tested):,} test images' if tested else ''
            if args.folds and data.test is None:
                count += f' in {args.folds} folds'
            head = 'eomt' if '_eomt' in name.removeprefix(data.root.name) else ''
            what = describe(data, [head]).partition(', no split')[0]
            row = f'{data.root}: {what}{count}'
            shown.setdefault(row, []).append(name)
        rows += [[f'data: {", ".join(names)}', row] for row, names in shown.items()]
        length = ', '.join(
            text
            for text, given in (
                ('--fast: some steps on some images, which tell nothing', args.fast),
                ("the papers' recipes", args.full),
                (f'{args.steps} steps', args.steps),
            )
            if given
        )
        rows.append(['length', length or 'the small recipes'])
        rows.append(['seeds', ', '.join(map(str, args.seeds))])
        known = dict.fromkeys(version or 'not recorded' for version in versions)
        rows.append(['ccmim', ', '.join(known)])
        return rows


def write_transfer_page(
    page: Page,
    out: Path,
    args: Namespace,
    weights: Weights,
    parts: tuple[Sequence[Details], Sequence[tuple[Path, str]]],
    versions: Iterable[str],
) -> Path:
    """Write ``report.html``.

    Args:
        page: Its parts.
        out: Where it goes.
        args: Of the command.
        weights: What was judged.
        parts: Details of the tasks, and pictures.
        versions: Of ccmim, by which the parts were made.

    Returns:
        The file.
    """
    sentence, table = page.answer()
    details, figures = parts
    brackets = 'In brackets: 95 % interval of the gain, over the seeds; with one seed, '
    brackets += 'from a bootstrap over the test images (not over training runs).'
    notes = [sentence, *page.tested(), *[brackets] * ('[' in str(table[-1]))]
    if args.fast:
        notes.insert(
            1, '--fast is a smoke test: these scores say nothing about the weights.'
        )
    words = sys.argv[1:]
    # Not those of a notebook that calls the function.
    commands = [f'ccmim {shlex.join(words)}'] if 'transfer' in words else []
    facts = page.facts(args, weights, versions)
    summary = Summary(table, notes, figures, commands, facts, details)
    runs = [p for p in sorted(out.iterdir()) if p.is_dir() and '_seed' in p.name]
    file = out / 'report.html'
    write_page(file, f'Transfer: {out.name}', find_runs(runs) if runs else [], summary)
    return file
