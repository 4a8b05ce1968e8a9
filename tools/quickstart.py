"""Pretrain on synthetic scenes, fine-tune from it and from scratch, and compare.

    bash tools/quickstart.sh [--fast | --full] [--images PHOTOS] [--out DIR]

Every stage is a command of this project, printed before it runs. Finished stages are
not repeated, and an interrupted one resumes. Two stages run at a time, each on one
core, in forks of this process.
"""

import argparse
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

# A GPU must not be woken by a look before the stages are forked.
os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')

import torch
from mmengine.logging import MMLogger

from ccmim.apps.compare import (
    Arm,
    Comparison,
    StageError,
    find_gains,
    run_stages,
    shown,
    verdict,
    write_table,
)
from ccmim.apps.compare.forecast import clock, measure_paces, total_seconds
from ccmim.apps.compare.scores import estimate
from ccmim.apps.demo.pictures import draw_detections, draw_features, draw_masks
from ccmim.apps.demo.scenes import toy_scene, write_toy_scenes
from ccmim.apps.report.html import Figure, write_report
from ccmim.engine.config import read_config
from ccmim.files import Parser, WriteError, one_line, say

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'work_dirs' / 'quickstart'
SCRATCH = 'scratch'
# What all stages import; paid once, before they are forked.
IMPORTS = (
    *('ccmim.engine.launch', 'ccmim.methods', 'ccmim.data', 'ccmim.dense.detection'),
    *('ccmim.dense.linear_seg_head', 'mmdet.datasets', 'mmdet.engine', 'mmdet.models'),
    *('mmdet.evaluation', 'mmdet.visualization', 'mmseg.datasets', 'mmseg.engine'),
    *('mmseg.evaluation', 'mmseg.models', 'mmseg.visualization'),
    'torch.utils.tensorboard',
)


class Plan(NamedTuple):
    """How much is spent on each stage.

    Attributes:
        suffix: Of the configs of mm_configs/demo.
        methods: Config and name of each pretraining.
        tasks: Config, task and name of each fine-tuning.
        size: Side of the scenes in pixels.
        unlabeled: Scenes to pretrain on.
        train: Annotated scenes to fine-tune on.
        val: Annotated scenes to test on.
        epochs: Epochs of pretraining; those of the config when 0.
        steps: Steps of each fine-tuning; those of the config when 0.
    """

    suffix: str
    methods: dict[str, str]
    tasks: dict[str, tuple[str, str]]
    size: int
    unlabeled: int
    train: int
    val: int
    epochs: int = 0
    steps: int = 0


FEW = Plan(
    '_toy_64px',
    methods=dict(mae='MAE', ccmim='ccMIM'),
    tasks=dict(fcos=('detection', 'FCOS'), linear=('segmentation', 'linear head')),
    size=64,
    unlabeled=2000,
    train=20,
    val=200,
)
FULL = Plan(
    '_toy',
    methods=dict(ccmim='ccMIM'),
    tasks=dict(
        mask_rcnn=('detection', 'Mask R-CNN'), upernet=('segmentation', 'UperNet')
    ),
    size=128,
    unlabeled=2000,
    train=300,
    val=100,
)
FAST = FEW._replace(unlabeled=128, val=16, epochs=1, steps=6)


def main() -> None:
    """Run all stages."""
    args = parse_args()
    plan = FAST if args.fast else FULL if args.full else FEW
    kind = '_fast' * args.fast + '_full' * args.full
    out = (args.out or OUT.with_name(OUT.name + kind)).absolute()
    photos = args.images and args.images.absolute()  # the stages run in the checkout
    started = time.time()
    # A thread that OpenMP has started here would not survive the forks.
    torch.set_num_threads(1)
    MMLogger.get_current_instance().setLevel('WARNING')
    out.mkdir(parents=True, exist_ok=True)  # or fail before anything takes time
    os.chdir(ROOT)
    scenes, jobs = out / 'scenes', min(2, len(os.sched_getaffinity(0)))
    os.environ['CCMIM_TOY'] = str(scenes)
    comparison = compare(plan, out, photos or scenes / 'unlabelled', args.seeds)

    counts = plan.unlabeled * (not photos), plan.train, plan.val
    painting = _seconds_of_a_scene(plan.size) * sum(counts)
    print(
        f'Generating {sum(counts):,} scenes, about {clock(painting)}, while importing '
        'PyTorch, mmdetection and mmsegmentation',
        flush=True,
    )
    with ProcessPoolExecutor(1, multiprocessing.get_context('fork')) as pool:
        sizes = plan.train, plan.val, plan.size
        job = pool.submit(write_toy_scenes, scenes, *sizes, num_unlabeled=counts[0])
        with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere):
            for name in IMPORTS:  # what they lack, they print
                import_module(name)
        job.result()
    chains = comparison.chains_apart()
    if any(not stage.is_done for chain in chains for stage in chain):
        announce(comparison, plan, jobs)
    on_gpu = torch.cuda.is_available()  # a GPU does not survive a fork
    run_stages(chains, ROOT, [{}] * jobs, in_copies=not on_gpu)
    finish(
        comparison, plan, out, photos or scenes / 'unlabelled', time.time() - started
    )


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        '--fast', action='store_true', help='a smoke test of about a minute'
    )
    length.add_argument(
        '--full', action='store_true', help='128 px scenes, 300 of them annotated'
    )
    parser.add_argument('--images', type=Path, help='pretrain on these photos')
    parser.add_argument('--out', type=Path, help='output folder')
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0],
        help='repeat everything with each seed',
    )
    args = parser.parse_args()
    if args.images and not args.images.exists():
        parser.error(f'--images {args.images} does not exist')
    return args


def compare(plan: Plan, out: Path, photos: Path, seeds: Sequence[int]) -> Comparison:
    """Say what is compared."""

    def config(name: str) -> str:
        return f'mm_configs/demo/{name}{plan.suffix}.py'

    pretraining = [f'train_dataloader.dataset.data={photos}']
    if plan.epochs:
        pretraining.append(f'train_cfg.max_epochs={plan.epochs}')
    methods = [Arm(label, config(name)) for name, label in plan.methods.items()]
    return Comparison(
        arms=[Arm(SCRATCH), *methods],
        tasks={task: config(name) for name, (task, _) in plan.tasks.items()}
        | dict(patches=config('knn')),
        seeds=seeds,
        out=out,
        pretrain_options=pretraining,
        options=[f'train_cfg.max_iters={plan.steps}'] if plan.steps else [],
    )


def announce(comparison: Comparison, plan: Plan, jobs: int) -> None:
    """Print what will be run and how long it takes, from a few steps of each run."""
    options = [
        dict(option.split('=', 1) for option in chosen)
        for chosen in (comparison.pretrain_options, comparison.options)
    ]
    for chosen in options:
        chosen |= {k: int(v) for k, v in chosen.items() if k.startswith('train_cfg')}
    print('Timing a few steps of each stage', flush=True)
    methods = comparison.arms[1:]
    runs = [(arm.source, options[0]) for arm in methods]
    runs += [(comparison.tasks[task], options[1]) for task, _ in plan.tasks.values()]
    paces = measure_paces(runs, jobs)
    starts, tasks = paces[: len(methods)], paces[len(methods) :]
    count = len(comparison.seeds)
    chains = [[pace.seconds] for pace in starts] * count
    chains += [[pace.seconds] for pace in tasks] * count * len(comparison.arms)
    names = [f'{arm.name} pretraining' for arm in methods]
    names += [
        f'{name}, {len(comparison.arms)} times' for _, name in plan.tasks.values()
    ]
    for name, pace in zip(names, paces, strict=True):
        steps = f'{pace.steps} steps of {pace.step:.2f} s'
        print(f'  {name:<22}{steps}, about {clock(pace.seconds)}')
    total = total_seconds(chains, jobs)
    print(
        f'About {clock(total)} in total with {jobs} at a time, in {starts[0].dtype}. '
        'Ctrl-C stops it; run the same command to resume.\n',
        flush=True,
    )


def finish(
    comparison: Comparison, plan: Plan, out: Path, photos: Path, seconds: float
) -> None:
    """Print the table and write the report."""
    scores, samples = comparison.scores(), comparison.samples()
    names = [arm.name for arm in comparison.arms]
    gains = {
        name: find_gains(scores, name, SCRATCH, samples) for name in reversed(names[1:])
    }
    write_table(scores, names, out, samples, gains)
    measures = [gain.measure for gain in gains[names[-1]]]
    table = [['', *measures]]
    for arm in reversed(names):
        values = [
            [s.value for s in scores if s[0] == arm and s[3] == m] for m in measures
        ]
        table.append([arm, *map(_mean, values)])
    for name, leads in gains.items():
        table.append([f'{name} - {SCRATCH}', *(gain.text for gain in leads)])
    count = len(comparison.seeds)
    chance = f'over {count} seeds' if count > 1 else 'bootstrap over the test images'
    sentence = ' '.join(verdict(name, leads) for name, leads in gains.items())
    if plan.steps:
        sentence = '--fast is a smoke test: these scores say nothing about pretraining.'
    notes = [
        sentence,
        f'In brackets: 95 % interval of the difference, {chance}'
        + ('.' if count > 1 else ' (not over training runs).'),
        f'Pretrained on {photos}, fine-tuned on {plan.train} annotated scenes of '
        f'{plan.size} px, tested on {plan.val}. Patches are classified by '
        'k-NN, without training.',
    ]
    figures = draw(comparison, out, photos)
    commands = [
        shown(stage.command) for chain in comparison.chains_apart() for stage in chain
    ]
    runs = [out / f'{name}_seed{comparison.seeds[0]}' for name in names]
    write_report(
        out / 'report.html', 'ccMIM quickstart', table, notes, figures, commands, runs
    )
    print()
    for row in table:
        print(f'{row[0]:<16}' + ''.join(f'{cell:>24}' for cell in row[1:]))
    print('\n' + '\n'.join(notes[:2]))
    here = f'{ROOT}/'
    weights = str(_pretrained(comparison)).removeprefix(here)
    folder, images = (str(path).removeprefix(here) for path in (out, photos))
    say(
        '',
        f'Took {seconds / 60:.1f} minutes. Table, pictures and curves: '
        f'{folder}/report.html',
        'Next:',
        f'  python tools/visualize.py {weights} {images} --out {folder}/pictures',
        f'  python -m ccmim export {weights} --to timm',
        f'  python -m ccmim pretrain {images}   # or your own photos',
    )


def draw(comparison: Comparison, out: Path, photos: Path) -> list[Figure]:
    """Draw the three pictures of the report."""
    scenes, seed = out / 'scenes', comparison.seeds[0]
    weights = _pretrained(comparison)
    ours = comparison.arms[-1]
    cfg = read_config(str(ours.source))
    draw_masks(cfg, weights, photos, out / 'masks.png')
    runs = {
        task: {
            arm.name: next(iter((out / f'{arm.name}_seed{seed}' / task).glob('*.pth')))
            for arm in comparison.arms
        }
        for task in ('detection', 'segmentation')
    }
    configs = {task: read_config(str(comparison.tasks[task])) for task in runs}
    draw_detections(configs, runs, scenes, out / 'found.png')
    networks = {'random weights': None, ours.name: weights}
    draw_features(cfg, networks, scenes / 'images/validation', out / 'features.png')
    return [
        Figure(out / 'masks.png', 'Masks and reconstructions.'),
        Figure(
            out / 'found.png',
            'Predictions from each initialization next to the ground truth.',
        ),
        Figure(out / 'features.png', 'Patch features as colors (PCA).'),
    ]


def _pretrained(comparison: Comparison) -> Path:
    """The weights of the last method, ccMIM, with the first seed."""
    last = comparison.pretrainings()[-len(comparison.seeds)]
    return last[0].result


def _seconds_of_a_scene(size: int, count: int = 8) -> float:
    started = time.perf_counter()
    for index in range(count):
        toy_scene(0, 'training', index, size)
    return (time.perf_counter() - started) / count


def _mean(values: Sequence[float]) -> str:
    estimated = estimate(values)
    spread = (
        f' \N{PLUS-MINUS SIGN} {estimated.spread:.1f}' if estimated.count > 1 else ''
    )
    return f'{estimated.mean:.1f}{spread}'


def run() -> str | None:
    """Run all stages; give the line for standard error if they did not end well."""
    try:
        main()
    except StageError as error:
        return f'\n{error}'
    except (WriteError, OSError) as error:
        return f'\nerror: {one_line(str(error))}'
    except KeyboardInterrupt:
        return '\nInterrupted. Run it again to resume.'
    return None


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    sys.exit(run())
