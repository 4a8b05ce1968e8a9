"""``ccmim transfer``: what a checkpoint is worth on labelled data, in one table."""

import json
import os
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.mistakes import Mistake, how_to_install
from ccmim.apps.cli.probing import (
    estimate_probe,
    told_weights,
    usual_neighbors,
    weights_file,
)
from ccmim.apps.cli.quiet import no_messages
from ccmim.apps.cli.tasks import Tasks
from ccmim.apps.compare import (
    Arm,
    Comparison,
    Score,
    Stage,
    StageError,
    content_of,
    run_stages,
    write_table,
)
from ccmim.apps.report.page_comparison import write_runs_page
from ccmim.labels.judge import require_good
from ccmim.labels.layouts import Classes, Instances, describe, find_labels

RANDOM, OURS = 'random', 'checkpoint'
_PROBES = {'k=': 'k-NN', 'linear': 'linear'}


def run(args: Namespace) -> int:
    """Run what is missing, and print the table; 1 if something failed."""
    if args.fast and args.full:
        raise Mistake('--fast and --full contradict each other', 'leave out one')
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
    stages, dense = {}, {}
    for folder in args.data:
        data = find_labels(folder.expanduser(), args.ignore_zero)
        name = _free_name(data.root.name, {*stages, *dense})
        print(f'{name:<16} {describe(data)}', flush=True)
        require_good(data)
        if not isinstance(data, Classes):
            _require('mmdet' if isinstance(data, Instances) else 'mmseg')
        config = tasks.write(data, name)
        print(*tasks.notes, sep='\n', end='\n' * bool(tasks.notes), flush=True)
        if isinstance(data, Classes):
            stages[name] = _probe_stage(checkpoint, name, data.root, config, out)
            if not stages[name].is_done:
                print(estimate_probe(config, 2), flush=True)
        else:
            dense[name] = str(config)
    chains = [[stage] for stage in stages.values()]
    comparison = None
    if dense:
        arms = [Arm(RANDOM), Arm(OURS, str(checkpoint))]
        comparison = Comparison(arms, dense, args.seeds, out)
        chains += comparison.transfers()
    failure = ''
    try:
        run_stages(chains, home(), _slots(args.jobs))
    except StageError as error:
        failure = str(error)
    scores = _probe_scores(stages) + (comparison.scores() if comparison else [])
    samples = comparison.samples() if comparison else {}
    if text := write_table(scores, [RANDOM, OURS], out, samples):
        print(f'\n{text}')
    if dense and not failure:
        write_runs_page([out])
        print(f'pictures and curves: {out / "report.html"}')
    if args.fast:
        print('--fast: this shows that all works, and nothing about the weights.')
    if failure:
        raise StageError(failure)
    return 0


def _require(module: str) -> None:
    for name in ('mmcv', module):
        if find_spec(name) is None:
            raise Mistake(f'{name} is not installed', how_to_install(name))


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f'{name}_{number}', number + 1
    return free


def _probe_stage(
    checkpoint: Path, name: str, data: Path, config: Path, out: Path
) -> Stage:
    with no_messages():
        cfg = Config.fromfile(config)
    result = out / 'probes' / name / 'accuracies.json'
    command = ['tools/knn.py', checkpoint, '--config', config, '--random', '--linear']
    command += ['--k', usual_neighbors(config), '--out', result]
    # The config may name lists alone, whatever they were cut from.
    depends = f'{content_of(checkpoint)} {content_of(cfg)} {data}'
    return Stage(f'{name}: k-NN and linear probe', command, result, depends)


def _probe_scores(stages: dict[str, Stage]) -> list[Score]:
    scores = []
    for name, stage in stages.items():
        if not stage.is_done:
            continue
        for arm, found in json.loads(stage.result.read_text()).items():
            for key, value in found.items():
                metric = next(
                    m for start, m in _PROBES.items() if key.startswith(start)
                )
                scores.append(Score(arm, name, 0, metric, value))
    return scores


def _slots(jobs: int | None) -> list[dict[str, str]]:
    if count := torch.cuda.device_count():
        given = os.environ.get('CUDA_VISIBLE_DEVICES')
        gpus = given.split(',')[:count] if given else [str(i) for i in range(count)]
        return [{'CUDA_VISIBLE_DEVICES': gpus[i % count]} for i in range(jobs or count)]
    return [{}] * (jobs or min(2, len(os.sched_getaffinity(0))))
