"""``ccmim transfer``: evaluate a checkpoint on labeled data, in one table."""

import json
import os
from argparse import Namespace
from pathlib import Path

import torch

from ccmim.api.catalogue import home
from ccmim.apps.cli.best_models import say_how_to_use
from ccmim.apps.cli.by_name import (
    name_scores,
    name_stages,
)
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.probing import (
    estimate_probe,
    weights_file,
    weights_from_args,
)
from ccmim.apps.cli.quiet import no_messages
from ccmim.apps.cli.tasks import Tasks
from ccmim.apps.cli.transfer_figures import Figures
from ccmim.apps.cli.transfer_page import Page, write_transfer_page
from ccmim.apps.cli.transfer_plan import OURS, RANDOM, Planned, make_plan
from ccmim.apps.compare import (
    Arm,
    Comparison,
    Score,
    Stage,
    StageError,
    find_gains,
    run_stages,
    write_table,
)
from ccmim.apps.compare.forecast import measure_pace, total_seconds
from ccmim.apps.compare.gains import Samples
from ccmim.checkpoints import Weights
from ccmim.checkpoints.sources import name_of_weights
from ccmim.evaluation.resampling import figure, join, read_names, read_samples
from ccmim.files import say
from ccmim.labels.layouts import (
    Classes,
)
from ccmim.progress import duration, waiting

_PROBES = {'k=': 'k-NN', 'linear': 'linear'}


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
    weights = weights_from_args(args.checkpoint, args)
    checkpoint = Path(args.checkpoint).expanduser().absolute()
    name = name_of_weights(args.checkpoint)
    default = f'{name}_transfer{"_fast" * args.fast}'
    folder = checkpoint.parent if checkpoint.exists() else Path('work_dirs')
    out = (args.out or folder / default).absolute()
    checkpoint = weights_file(args.checkpoint, weights, args, out)
    tasks = Tasks(
        weights.architecture,
        out,
        args.fast,
        args.full,
        args.steps,
        args.image_size,
        weights.pixels,
    )
    plan = make_plan(args, tasks, checkpoint, out)
    named = name_stages(args.checkpoint, plan.data, plan.captions, out)
    chains = [*plan.probe_chains(), *([stage] for stage in named.values())]
    comparison = None
    if plan.dense:
        arms = [Arm(RANDOM), Arm(OURS, str(checkpoint))]
        comparison = Comparison(arms, plan.dense, args.seeds, out)
        with no_messages():  # of mmdet and mmseg, which the configs import
            chains += comparison.transfers()
    slots = _slots(args.jobs)
    _say_how_long(plan, comparison, len(slots), args)
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
        pair = RANDOM, OURS
        page = Page(pair, plan.data, scores, samples, gains, parts)
        figures = Figures(out, pair, plan.data, scores, samples, parts)
        with waiting('Drawing the page'):
            file = _write_page(page, figures, out, args, weights, plan, comparison)
        say(f'pictures and curves: {file}')
        say_how_to_use(plan, comparison, scores)
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


def _say_how_long(
    plan: Planned, comparison: Comparison | None, jobs: int, args: Namespace
) -> None:
    """Print an estimate of what is not done yet: probes, then what is trained."""
    for stage in plan.probes.values():
        if not stage.is_done:
            print(estimate_probe(stage.command[3], 2, args.dtype), flush=True)
    if comparison is None or args.fast:
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
        say(
            f'  {name:<14} {pace.steps:,} steps of {pace.step:.2g} s, {pace.images:,} '
            f'test images: about {duration(pace.seconds)} per run'
        )
    chains = [[seconds[str(chain[0].command[1])]] for chain in missing]
    total = duration(total_seconds(chains, jobs))
    print(
        f'Estimate     about {total} for {len(missing)} runs, {jobs} at a time: from '
        'random weights and from the checkpoint',
        flush=True,
    )


def _probed(stages: dict[str, Stage]) -> tuple[list[Score], Samples]:
    """Read what the probes have found."""
    scores, samples = [], {}
    for name, stage in stages.items():
        if not stage.is_done:
            continue
        for arm, measured in json.loads(stage.result.read_text()).items():
            for key, value in measured.items():
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
    joined = [score for score in scores if score.task not in whole]
    kept = {key: sample for key, sample in samples.items() if key[1] not in whole}
    for name, parts in folds.items():
        for arm, _, seed, metric in dict.fromkeys(
            key for key in samples if key[1] == parts[0]
        ):
            keys = [(arm, part, seed, metric) for part in parts]
            if all(key in samples for key in keys):
                sample = join([samples[key] for key in keys])
                kept[arm, name, seed, metric] = sample
                joined.append(Score(arm, name, seed, metric, figure(sample)))
    return joined, kept


def _write_page(
    page: Page,
    figures: Figures,
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
    pictures = figures.curves() + figures.classified(names)
    configs: dict[str, str] = {}
    trained: dict[str, dict[str, Path]] = {}
    first = {folds[0]: name for name, folds in plan.folds.items()}
    for arm, task, seed, file in comparison.trained() if comparison else ():
        name = first.get(task, task)  # of folds the first one is shown
        is_dense = not isinstance(plan.data.get(name), Classes | None)
        if is_dense and seed == args.seeds[0] and file.is_file():
            configs[name] = plan.dense[task]
            trained.setdefault(name, {})[arm] = file
    pictures += figures.predictions(configs, trained) if trained else []
    parts = figures.details(), pictures
    stages = [*plan.probes.values()]
    for chain in comparison.transfers() if comparison else ():
        stages += chain
    versions = [stage.version for stage in stages if stage.is_done]
    return write_transfer_page(page, out, args, weights, parts, versions)


def _slots(jobs: int | None) -> list[dict[str, str]]:
    if count := torch.cuda.device_count():
        given = os.environ.get('CUDA_VISIBLE_DEVICES')
        gpus = given.split(',')[:count] if given else [str(i) for i in range(count)]
        return [{'CUDA_VISIBLE_DEVICES': gpus[i % count]} for i in range(jobs or count)]
    return [{}] * (jobs or min(2, len(os.sched_getaffinity(0))))
