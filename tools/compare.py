r"""Compare initializations on dense tasks: arms x tasks x seeds, in one table.

    python tools/compare.py \
        --arms random mae=mm_configs/small/mae_vitt.py ccmim=CHECKPOINT \
        --tasks penn_fudan=mm_configs/small/mask_rcnn_vitt_penn_fudan.py \
                camvid=mm_configs/small/upernet_vitt_camvid.py \
        --seeds 0 1 2 --out work_dirs/comparison --jobs 2

An arm is 'random', a pretraining config, which is then run with each seed, or weights:
a file, a folder, timm:NAME or hf:OWNER/NAME. Files are looked for where you stand, then
in the checkout. What is done is not done again; what was interrupted is resumed. Writes
table.md, scores.csv and scores.png; differences are to the first arm.

On a CPU --jobs runs share the cores; with --gpus each runs on a GPU of its own. On
Slurm, --slurm '-p PARTITION --gres=gpu:1' makes a job array, one job for each seed, and
waits for it; the words are options of sbatch. Without arrays, give --prefix 'srun -p
PARTITION --gres=gpu:1' and as many --jobs as are allowed.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mmengine.logging import MMLogger

from ccmim.apps.compare import (
    Arm,
    Comparison,
    StageError,
    run_stages,
    write_table,
)
from ccmim.files import Parser, say

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--arms',
        nargs='+',
        required=True,
        metavar='NAME[=SOURCE]',
        help="'random', or a name and a pretraining config or weights",
    )
    parser.add_argument(
        '--tasks',
        nargs='+',
        required=True,
        metavar='NAME=CONFIG',
        help='what each arm is fine-tuned and tested on',
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/comparison'))
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument('--gpus', nargs='+', help='GPUs to use, one for each run')
    parser.add_argument('--prefix', default='', help='what starts a command elsewhere')
    parser.add_argument(
        '--slurm', metavar='OPTIONS', help='options of sbatch for a job array of seeds'
    )
    parser.add_argument(
        '--pretrain-options', nargs='+', default=[], metavar='KEY=VALUE'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='changes of all tasks',
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        '--table-only', action='store_true', help='run nothing, show what is there'
    )
    only.add_argument('--no-table', action='store_true', help='run, and write no table')
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error('--jobs must be at least 1')
    if args.slurm is not None and not shutil.which('sbatch'):
        parser.error('--slurm: sbatch was not found here')
    args.out = args.out.resolve()
    for words in (args.tasks, args.pretrain_options, args.cfg_options):
        words[:] = map(_from_here, words)
    args.arms = [_from_here(word, Path.exists) for word in args.arms]
    return args


def _from_here(word: str, is_there: Callable[[Path], bool] = Path.is_file) -> str:
    """Make the file of NAME=FILE absolute if it lies where the user stands."""
    name, equals, file = word.partition('=')
    if Path.cwd() == ROOT or not file or not is_there(Path(file)):
        return word
    return f'{name}{equals}{Path(file).absolute()}'


def plan(args: argparse.Namespace) -> Comparison:
    """Check what the command line asks for."""
    arms = []
    for text in args.arms:
        name, _, source = text.partition('=')
        if not source and name != 'random':
            raise ValueError(f'--arms {text}: give NAME=CONFIG or NAME=CHECKPOINT')
        arms.append(Arm(name, source))
    pairs = [text.partition('=') for text in args.tasks]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ValueError(f'--tasks {wrong[0]}: give NAME=CONFIG')
    return Comparison(
        arms=arms,
        tasks={name: config for name, _, config in pairs},
        seeds=args.seeds,
        out=args.out,
        pretrain_options=args.pretrain_options,
        options=args.cfg_options,
    )


def run_array(args: argparse.Namespace, here: str) -> list[str]:
    """Run each seed as a job of an array of Slurm, by this command; what failed."""
    logs = args.out / 'slurm'
    logs.mkdir(parents=True, exist_ok=True)
    # The last of two --seeds counts. A job that is requeued resumes.
    script = Path(__file__).resolve()
    words = [sys.executable, script, *sys.argv[1:], '--no-table', '--seeds']
    words = [str(word) for word in words]
    at = next(i for i, word in enumerate(words) if word.partition('=')[0] == '--slurm')
    del words[at : at + (1 if '=' in words[at] else 2)]
    seeds = shlex.join(map(str, args.seeds))
    command = f'{shlex.join(words)} "$1"'
    sbatch = [
        *('sbatch', '--wait', '--requeue', '--open-mode=append', '--job-name=compare'),
        *(f'--array=0-{len(args.seeds) - 1}', f'--output={logs}/%A_%a.log'),
        *shlex.split(args.slurm),
        *('--wrap', f'set -- {seeds}; shift "$SLURM_ARRAY_TASK_ID"; exec {command}'),
    ]
    say(shlex.join(sbatch))
    code = subprocess.run(sbatch, cwd=here, check=False).returncode
    return [f'a job of the array failed: see {logs}'] if code else []


def main() -> None:
    """Run what is missing and write the table."""
    args = parse_args()
    here = os.getcwd()
    os.chdir(ROOT)  # where the stages run
    MMLogger.get_current_instance().setLevel('WARNING')  # not into the table
    try:
        comparison = plan(args)
    except ValueError as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    failures = run_array(args, here) if args.slurm is not None else []
    slots = [{'CUDA_VISIBLE_DEVICES': gpu} for gpu in args.gpus or ()]
    if not args.table_only and args.slurm is None:
        for chains in (comparison.pretrainings, comparison.transfers):
            try:
                run_stages(
                    chains(), ROOT, slots or [{}] * args.jobs, shlex.split(args.prefix)
                )
            except StageError as error:
                failures.append(str(error))
    if not args.no_table:
        arms = [arm.name for arm in comparison.arms]
        text = write_table(
            comparison.scores(), arms, comparison.out, comparison.samples()
        )
        print(f'\n{text}' if text else 'nothing has been tested yet')
    if failures:
        sys.exit('\n'.join(failures))


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        sys.exit('\nInterrupted. The same command resumes.')
