"""Train what a config describes: pretraining, detection or segmentation.

    python tools/train.py CONFIG [--work-dir DIR] [--resume [FILE]] [--amp]
        [--auto-scale-lr] [--cfg-options KEY=VALUE ...]

For several processes use tools/dist_train.sh or tools/slurm_train.sh. A run that gets
SIGTERM, SIGUSR1 or Ctrl-C saves a checkpoint first; exit codes: 143, 0 and 130, else 1
for a mistake in what was asked for, and 3 when the disk is full or read-only.
"""

import argparse
import os
import sys

from mmengine.config import DictAction
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from ccmim.checkpoints import WriteError
from ccmim.training.launch import (
    build_runner,
    read_config,
    report_batch,
    scale_learning_rate,
    use_mixed_precision,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--work-dir', help='where logs and checkpoints go')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from FILE, or from the newest good checkpoint of the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train in bf16 autocast')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to batch x processes x accumulation',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='changes: KEY=VALUE ...'
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def prepare(args: argparse.Namespace) -> Runner:
    """Build the run that the command line asks for."""
    cfg = read_config(args.config, args.work_dir, args.cfg_options)
    if args.amp:
        use_mixed_precision(cfg)
    if args.auto_scale_lr:
        scale_learning_rate(cfg)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    runner = build_runner(cfg, args.launcher)
    report_batch(cfg, get_world_size())
    return runner


def main() -> None:
    """Train; mistakes, a full disk and numbers out of range end in one line."""
    try:
        runner = prepare(parse_args())
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    try:
        runner.train()
    except FloatingPointError as error:
        sys.exit(f'error: {error}')
    except WriteError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(3)


if __name__ == '__main__':
    main()
