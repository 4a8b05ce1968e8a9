"""``ccmim transfer``: evaluate a checkpoint on labeled data, in one table."""

import json
import os
import shlex
from argparse import Namespace
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.api.zero_shot import knows_words
from ccmim.apps.cli.by_name import (
    Captions,
    describe_captions,
    find_captions,
    name_scores,
    name_stages,
)
from ccmim.apps.cli.mistakes import Mistake, how_to_install
from ccmim.apps.cli.probing import (
    estimate_probe,
    told_weights,
    usual_neighbors,
    weights_file,
)
from ccmim.apps.cli.quiet import no_messages
from ccmim.apps.cli.tasks import Part, Tasks, heads_of
from ccmim.apps.cli.transfer_page import Page, write_transfer_page
from ccmim.apps.compare import (
    Arm,
    Comparison,
    Score,
    Stage,
    StageError,
    content_of,
    find_gains,
    run_stages,
    write_table,
)
from ccmim.apps.compare.forecast import measure_pace, total_seconds
from ccmim.apps.compare.gains import Samples
from ccmim.checkpoints import Weights
from ccmim.classification.labels import FolderLabels
from ccmim.evaluation.resampling import figure, join, read_names, read_samples
from ccmim.files import say
from ccmim.labels.judge import require_good
from ccmim.labels.layouts import (
    Classes,
    Instances,
    Labeled,
    NoLabelsError,
    describe,
    find_labels,
)
from ccmim.progress import duration, waiting

RANDOM, OURS = 'random', 'checkpoint'
_PROBES = {'k=': 'k-NN', 'linear': 'linear'}
_TRAINED = ('top-1', 'mask AP', 'box AP', 'mIoU')  # by which models are compared
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


def run(args: Namespace) -> int:
    """Run what is missing, and print the table; 1 if something failed."""
    transfer(args)
    return 0


def transfer(args: Namespace) -> tuple[Path, list[Score]]:
    """Run what is missing, print the table, and write the page.

    Returns:
        The folder of all that, and the scores.

    Raises:
        StageError: If a run failed; after the table of the others.
    """
    _check_words(args)
    weights = told_weights(args.checkpoint, args)
    checkpoint = Path(args.checkpoint).expanduser().absolute()
    default = f'{checkpoint.stem}_transfer{"_fast" * args.fast}'
    folder = checkpoint.parent if checkpoint.exists() else Path('work_dirs')
    out = (args.out or folder / default.replace(':', '_')).absolute()
    checkpoint = weights_file(args.checkpoint, weights, args, out)
    tasks = Tasks(
        weights.architecture,
        out,
        args.fast,
        args.full,
        args.steps,
        args.image_size,
    )
    plan = _plan(args, tasks, checkpoint, out)
    named = name_stages(args.checkpoint, plan.data, plan.captions, out)
    chains = [[stage] for stage in (*plan.probes.values(), *named.values())]
    comparison = None
    if plan.dense:
        arms = [Arm(RANDOM), Arm(OURS, str(checkpoint))]
        comparison = Comparison(arms, plan.dense, args.seeds, out)
        with no_messages():  # of mmdet and mmseg, which the configs import
            chains += comparison.transfers()
    slots = _slots(args.jobs)
    _say_how_long(plan, comparison, len(slots), args.fast)
    failure = ''
    try:
        run_stages(chains, home(), slots)
    except StageError as error:
        failure = str(error)
    scores, samples = _probed(plan.probes)
    if comparison:
        scores += comparison.scores()
        samples |= comparison.samples()
    scores, samples = _joined(scores, samples, plan.folds)
    scores += name_scores(named, OURS, RANDOM)
    arms, parts = [RANDOM, OURS], plan.fractions
    with waiting('Drawing the test images anew, for the intervals'):
        gains = find_gains(scores, OURS, RANDOM, samples)
    if text := write_table(scores, arms, out, samples, {OURS: gains}, parts):
        print(f'\n{text}')
        page = Page(out, (RANDOM, OURS), plan.data, scores, samples, gains, parts)
        with waiting('Drawing the page'):
            file = _write_page(page, out, args, weights, plan, comparison)
        say(f'pictures and curves: {file}')
        _say_how_to_use(plan, comparison, scores)
    if args.fast:
        print('--fast is a smoke test: these scores say nothing about the weights.')
    if failure:
        raise StageError(failure)
    return out, scores


def _check_words(args: Namespace) -> None:
    if args.fast and args.full:
        raise Mistake('--fast and --full contradict each other', 'leave out one')
    if wrong := [f for f in args.fractions if not 0 < f <= 1]:
        raise Mistake(f'--fractions {wrong[0]:g} is no fraction', 'such as 0.1 0.3 1')
    if args.folds == 1:
        raise Mistake('--folds 1 tests on what it has trained on', 'at least 2')


def _plan(args: Namespace, tasks: Tasks, checkpoint: Path, out: Path) -> Planned:
    """Say what the labeled data are, and write the configs of what they allow."""
    plan = Planned({}, {}, {}, {}, {}, {})
    knows = knows_words(args.checkpoint)
    for folder in args.data:
        if not (data := _find(folder.expanduser(), args, plan, knows)):
            continue
        first = _free_name(data.root.name, {**plan.data, **plan.captions})
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
                stage = _probe_stage(checkpoint, name, data.root, config, out, folds)
                plan.probes[name] = stage
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
        name = _free_name(name, {**plan.data, **plan.captions})
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


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f'{name}_{number}', number + 1
    return free


def _probe_stage(
    checkpoint: Path, name: str, data: Path, config: Path, out: Path, folds: int
) -> Stage:
    with no_messages():
        cfg = Config.fromfile(config)
    work = out / 'probes' / name
    result = work / 'accuracies.json'
    command = ['tools/knn.py', checkpoint, '--config', config, '--random', '--linear']
    command += ['--k', usual_neighbors(config), '--out', result]
    command += ['--per-image', work / 'images.npz', '--keep', work / 'linear.pth']
    command += ['--folds', folds] * bool(folds)
    # The config may name lists alone, whatever they were cut from.
    depends = f'{content_of(checkpoint)} {content_of(cfg)} {data}'
    return Stage(f'{name}: k-NN and linear probe', command, result, depends)


def _say_how_long(
    plan: Planned, comparison: Comparison | None, places: int, is_fast: bool
) -> None:
    """Print an estimate of what is not done yet: probes, then what is trained."""
    for stage in plan.probes.values():
        if not stage.is_done:
            print(estimate_probe(stage.command[3], 2), flush=True)
    if comparison is None or is_fast:
        return
    missing = [chain for chain in comparison.transfers() if not chain[-1].is_done]
    if not missing:
        return
    print('Measuring    a few steps of each training for the estimate', flush=True)
    seconds = {}
    first = {fold: folds[0] for folds in plan.folds.values() for fold in folds}
    for name, config in plan.dense.items():
        if (like := plan.dense[first.get(name, name)]) in seconds:
            seconds[config] = seconds[like]
            continue
        with waiting(f'  {name}'), no_messages():
            pace = measure_pace(config)
        seconds[config] = pace.seconds
        print(
            f'  {name:<14} {pace.steps:,} steps of {pace.step:.2g} s, {pace.images:,} '
            f'test images: about {duration(pace.seconds)} per run',
            flush=True,
        )
    chains = [[seconds[str(chain[0].command[1])]] for chain in missing]
    total = duration(total_seconds(chains, places))
    print(
        f'Estimate     about {total} for {len(missing)} runs, {places} at a time: from '
        'random weights and from the checkpoint',
        flush=True,
    )


def _probed(stages: dict[str, Stage]) -> tuple[list[Score], Samples]:
    """Read what the probes have found."""
    scores, samples = [], {}
    for name, stage in stages.items():
        if not stage.is_done:
            continue
        for arm, found in json.loads(stage.result.read_text()).items():
            for key, value in found.items():
                scores.append(Score(arm, name, 0, _metric(key), value))
        file = stage.result.with_name('images.npz')
        for key, sample in read_samples(file).items() if file.is_file() else ():
            arm, _, key = key.partition(' ')
            samples[arm, name, 0, _metric(key)] = sample
    return scores, samples


def _metric(key: str) -> str:
    return next(name for start, name in _PROBES.items() if key.startswith(start))


def _joined(
    scores: list[Score], samples: Samples, folds: dict[str, list[str]]
) -> tuple[list[Score], Samples]:
    """Make one test of the folds of a task, of which each image is in one."""
    whole = {part: name for name, parts in folds.items() for part in parts}
    found = [score for score in scores if score.task not in whole]
    kept = {key: sample for key, sample in samples.items() if key[1] not in whole}
    for name, parts in folds.items():
        for arm, _, seed, metric in dict.fromkeys(
            key for key in samples if key[1] == parts[0]
        ):
            keys = [(arm, part, seed, metric) for part in parts]
            if all(key in samples for key in keys):
                sample = join([samples[key] for key in keys])
                kept[arm, name, seed, metric] = sample
                found.append(Score(arm, name, seed, metric, figure(sample)))
    return found, kept


def _write_page(
    page: Page,
    out: Path,
    args: Namespace,
    weights: Weights,
    plan: Planned,
    comparison: Comparison | None,
) -> Path:
    """Write the page, with pictures of what was trained."""
    names = {
        task: read_names(file)
        for task, stage in plan.probes.items()
        if (file := stage.result.with_name('images.npz')).is_file()
    }
    figures = page.curves() + page.classified(names)
    configs: dict[str, str] = {}
    trained: dict[str, dict[str, Path]] = {}
    first = {folds[0]: name for name, folds in plan.folds.items()}
    for arm, task, seed, file in comparison.trained() if comparison else ():
        name = first.get(task, task)  # of folds the first one is shown
        is_dense = not isinstance(plan.data.get(name), Classes | None)
        if is_dense and seed == args.seeds[0] and file.is_file():
            configs[name] = plan.dense[task]
            trained.setdefault(name, {})[arm] = file
    figures += page.found(configs, trained) if trained else []
    parts = page.details(), figures
    stages = [*plan.probes.values()]
    for chain in comparison.transfers() if comparison else ():
        stages += chain
    versions = [stage.version for stage in stages if stage.is_done]
    return write_transfer_page(page, out, args, weights, parts, versions)


def _say_how_to_use(
    plan: Planned, comparison: Comparison | None, scores: list[Score]
) -> None:
    """Name the best file of the checkpoint's, and print the two lines that use it."""
    best = _best_models(plan, comparison, scores)
    if not best:
        return
    print('\nBest models trained from the checkpoint:')
    for _, what, file in best.values():
        say(f'  {what}', f'    {_short(file)}')
    # Of the most labels, where there is a curve over their fraction.
    whole = {
        max(parts, key=lambda name: parts[name]) for parts in plan.fractions.values()
    }
    task = next((task for task in best if task in whole), next(iter(best)))
    file = shlex.quote(_short(best[task][2]))
    photos = shlex.quote(_short(plan.data[task].root))
    say(
        'Next:',
        f'  ccmim predict {file} {photos} --out predictions',
        f'  ccmim export {file} --to onnx --whole',
    )


def _best_models(
    plan: Planned, comparison: Comparison | None, scores: list[Score]
) -> dict[str, tuple[list[float], str, Path]]:
    """Find the best of each task: its figures, the line that names it, its file.

    Instance segmentation is judged by masks, and by boxes where masks are no better.
    """
    whole = {fold: name for name, folds in plan.folds.items() for fold in folds}
    files = [
        (name, 0, ('linear',), stage.result.with_name('linear.pth'))
        for name, stage in plan.probes.items()
        if stage.is_done
    ]
    for arm, task, seed, file in comparison.trained() if comparison else ():
        if arm == OURS:
            files.append((whole.get(task, task), seed, _TRAINED, file))
    best: dict[str, tuple[list[float], str, Path]] = {}
    for task, seed, metrics, file in files:
        known = {s.metric: s.value for s in scores if s[:3] == (OURS, task, seed)}
        of_file = {m: known[m] for m in metrics if m in known and known[m] == known[m]}
        rank = [round(of_file.get(metric, -1), 1) for metric in metrics]
        if of_file and file.is_file() and (task not in best or rank > best[task][0]):
            run = '' if metrics == ('linear',) else f', seed {seed}'
            what = ', '.join(f'{m} {value:.1f}' for m, value in of_file.items())
            folds = ' over all folds; this is the model of the first'
            what += folds * (task in plan.folds and bool(run))
            best[task] = rank, f'{task}{run}: {what}', file
    return best


def _short(path: Path) -> str:
    return str(path).removeprefix(f'{Path.cwd()}/')


def _slots(jobs: int | None) -> list[dict[str, str]]:
    if count := torch.cuda.device_count():
        given = os.environ.get('CUDA_VISIBLE_DEVICES')
        gpus = given.split(',')[:count] if given else [str(i) for i in range(count)]
        return [{'CUDA_VISIBLE_DEVICES': gpus[i % count]} for i in range(jobs or count)]
    return [{}] * (jobs or min(2, len(os.sched_getaffinity(0))))
