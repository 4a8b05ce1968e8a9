"""What ``ccmim transfer`` will run on labeled data: its probes and trainings."""

from argparse import Namespace
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ccmim.api.zero_shot import knows_words
from ccmim.apps.cli.by_name import Captions, describe_captions, find_captions
from ccmim.apps.cli.dense_tasks import heads_of
from ccmim.apps.cli.mistakes import Mistake, how_to_install
from ccmim.apps.cli.probing import usual_neighbors
from ccmim.apps.cli.quiet import no_messages
from ccmim.apps.cli.task_setting import Part
from ccmim.apps.cli.tasks import Tasks
from ccmim.apps.compare import Stage, content_of
from ccmim.classification.labels import FolderLabels
from ccmim.files import one_line, say
from ccmim.labels.judge import require_good
from ccmim.labels.layouts import (
    Classes,
    Instances,
    Labeled,
    NoLabelsError,
    describe,
    find_labels,
)

RANDOM, OURS = 'random', 'checkpoint'
_FEW, _FOLDS = 1000, 5  # labeled photos without a split, and how they are tested


class Planned(NamedTuple):
    """What is run.

    Attributes:
        data: By name of the task as the table shows it.
        fractions: Of the labels of each task, by name of the data.
        probes: Stage of k-NN and linear probe, by name.
        dense: Config of what is trained, by name.
        folds: Names of the trained parts of a name that is tested in folds.
        captions: What is said of photos, by name.
    """

    data: dict[str, Labeled]
    fractions: dict[str, dict[str, float]]
    probes: dict[str, Stage]
    dense: dict[str, str]
    folds: dict[str, list[str]]
    captions: dict[str, Captions]

    def probe_chains(self) -> list[list[Stage]]:
        """Order probes: those of the same photos one by one, as they share features."""
        return [
            [self.probes[name] for name in sorted(parts, key=parts.get, reverse=True)]
            for parts in self.fractions.values()
            if parts.keys() <= self.probes.keys()
        ]


def make_plan(args: Namespace, tasks: Tasks, checkpoint: Path, out: Path) -> Planned:
    """Say what the labeled data are, and write the configs of what they allow."""
    plan = Planned({}, {}, {}, {}, {}, {})
    knows = knows_words(args.checkpoint)
    for folder in args.data:
        if not (data := _find(folder.expanduser(), args, plan, knows)):
            continue
        first = free_name(data.root.name, {**plan.data, **plan.captions})
        heads = heads_of(data, args.heads)
        check_folds(args, data)
        folds = _usual_folds(args, data) if isinstance(data, Classes) else args.folds
        say(f'{first:<16} {describe(data, heads, folds)}')
        require_good(data)
        if not isinstance(data, Classes):
            _require('mmdet' if isinstance(data, Instances) else 'mmseg')
        for fraction, tasks.head in product(args.fractions, heads):
            whole = name = f'{first}_eomt' if tasks.head else first
            if fraction < 1:
                name = f'{whole}_{100 * fraction:.3g}pct'.replace('.', '_')
            plan.data[name] = data
            plan.fractions.setdefault(whole, {})[name] = fraction
            if isinstance(data, Classes):
                config = tasks.write(data, name, Part(fraction))
                plan.probes[name] = _probe_stage(
                    checkpoint, name, data.root, config, out, folds, args.dtype
                )
            if args.finetune or not isinstance(data, Classes):
                _plan_training(args, tasks, plan, name, fraction)
        print(*tasks.notes, sep='\n', end='\n' * bool(tasks.notes), flush=True)
    return plan


def _find(folder: Path, args: Namespace, plan: Planned, knows: bool) -> Labeled | None:
    """Find labels, and captions for weights that know words."""
    try:
        data = find_labels(folder, args.ignore_zero)
    except NoLabelsError:
        data = None
        if not (captions := find_captions(folder)):
            raise
        if not knows:
            raise Mistake(
                f'{folder} holds captions alone, and {args.checkpoint} knows no words',
                'give a checkpoint of FLIP, or labels',
            ) from None
    else:
        captions = find_captions(folder) if knows else None
    if captions:
        name = f'{folder.absolute().name}{"_captions" * (data is not None)}'
        name = free_name(name, {**plan.data, **plan.captions})
        say(f'{name:<16} {describe_captions(captions)}')
        plan.captions[name] = captions
    return data


def _plan_training(
    args: Namespace, tasks: Tasks, plan: Planned, name: str, fraction: float
) -> None:
    data = plan.data[name]
    is_split = data.test is not None
    if args.folds and not is_split:
        names = [f'{name}_fold{i + 1}of{args.folds}' for i in range(args.folds)]
        parts = [Part(fraction, i, args.folds) for i in range(args.folds)]
        plan.folds[name] = names
    else:
        names, parts = [name], [Part(fraction)]
    of_classes = isinstance(data, Classes)
    for one, part in zip(names, parts, strict=True):
        file = f'{one}_finetune' if of_classes else one
        plan.dense[one] = str(tasks.write(data, file, part, of_classes))


def check_folds(args: Namespace, data: Labeled) -> None:
    """Refuse --folds where it would change nothing.

    Raises:
        Mistake: If it would.
    """
    if args.folds and data.test is not None:
        raise Mistake(
            f'--folds is for data without a split, and {data.root} has one',
            'leave out --folds',
        )
    whole = not args.fast and min(args.fractions) == 1
    if args.folds and isinstance(data, Classes) and not whole:
        raise Mistake(
            'k-NN and linear probe are tested in folds with all labels only',
            'leave out --folds, or --fast and --fractions',
        )


def _usual_folds(args: Namespace, data: Classes) -> int:
    """Choose in how many folds few labels are tested, where there is no split."""
    # All points of a curve are tested on the same photos.
    if data.test is not None or min(args.fractions) < 1 or args.fast:
        return 0
    return args.folds or (_FOLDS if _count(data) < _FEW else 0)


def _count(data: Classes) -> int:
    return len(FolderLabels(str(data.train)).paths())


def _require(module: str) -> None:
    for name in ('mmcv', module):
        if find_spec(name) is None:
            raise Mistake(f'{name} is not installed', how_to_install(name))


def free_name(folder: str, taken: Mapping[str, Any]) -> str:
    """Name data after their folder: in tables, on pages and as a folder of results."""
    number = 2
    free = name = one_line(folder)
    while free in taken:
        free, number = f'{name}_{number}', number + 1
    return free


def _probe_stage(
    checkpoint: Path,
    name: str,
    data: Path,
    config: Path,
    out: Path,
    folds: int,
    dtype: str,
) -> Stage:
    with no_messages():
        cfg = Config.fromfile(config)
    work = out / 'probes' / name
    result = work / 'accuracies.json'
    command = ['tools/knn.py', checkpoint, '--config', config, '--random', '--linear']
    command += ['--k', usual_neighbors(config), '--out', result]
    command += ['--per-image', work / 'images.npz', '--keep', work / 'linear.pth']
    command += ['--folds', folds] * bool(folds)
    command += ['--features', out / 'features', '--dtype', dtype]
    # The config may name lists alone, whatever they were cut from.
    depends = f'{content_of(checkpoint)} {content_of(cfg)} {data}'
    depends += f' {dtype}' * (dtype != 'auto')
    return Stage(f'{name}: k-NN and linear probe', command, result, depends)
