"""Train a config: pretraining, detection, segmentation or classification.

    python tools/train.py CONFIG [--work-dir DIR] [--resume [FILE] | --overwrite]
        [--amp] [--auto-scale-lr] [--debug] [--cfg-options KEY=VALUE ...]

For several processes use tools/dist_train.sh or tools/slurm_train.sh.

Exit codes: 0 for success, also if the run was already finished; 2 for a user error,
found before training; 3 for a full or read-only disk or too little GPU memory; 1 for
NaN or infinite values and for bugs. On SIGTERM, SIGUSR1, SIGHUP or Ctrl-C a run saves a
checkpoint and exits with 143, 0, 129 or 130.
"""

import signal

if __name__ == '__main__':  # signals wait until all is imported
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGHUP))

import argparse
import os

from mmengine.config import Config
from mmengine.dist import get_world_size

from ccmim.engine.config import read_config
from ccmim.engine.launch import (
    build_runner,
    report_batch,
    scale_learning_rate,
    start_processes,
    use_mixed_precision,
)
from ccmim.engine.settings import (
    StartHook,
    check_labels,
    check_space,
    claim_work_dir,
    clear_errors,
    config_parser,
    parse,
)
from ccmim.engine.settings.work_dir import files_of_a_run
from ccmim.engine.signals.stop_hook import StopHook, release_signals


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = config_parser(__doc__)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from FILE, or from the newest good checkpoint of the work dir',
    )
    group.add_argument(
        '--overwrite',
        action='store_true',
        help='start over; the old checkpoints, logs and pictures in the work dir are '
        'deleted after the first step',
    )
    parser.add_argument('--amp', action='store_true', help='train in bf16 autocast')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to batch x processes x accumulation',
    )
    return parse(parser)


def configure(args: argparse.Namespace) -> Config:
    """Read the config that the command line asks for."""
    cfg = read_config(args.config, args.work_dir, args.cfg_options)
    if args.amp:
        use_mixed_precision(cfg)
    if args.auto_scale_lr:
        scale_learning_rate(cfg)
    if int(os.environ.get('TORCHELASTIC_MAX_RESTARTS', 0)):
        if args.overwrite:
            raise ValueError('MAX_RESTARTS resumes from checkpoints: not --overwrite')
        if files_of_a_run(cfg.work_dir):  # the newest, not where the first start began
            args.resume = 'auto'
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    return cfg


def main() -> None:
    """Check everything that can be checked, then train."""
    args = parse_args()
    start = StartHook()
    with clear_errors(start, args.debug):
        cfg = configure(args)
        start_processes(cfg, args.launcher)
        with claim_work_dir(cfg, start, args.overwrite):
            check_labels(cfg, 'train', 'val')
            runner = build_runner(cfg, args.launcher)
            check_space(runner)
            report_batch(cfg, get_world_size())
            runner.register_hook(start)
            if not any(isinstance(hook, StopHook) for hook in runner.hooks):
                release_signals()
            try:
                runner.train()
            finally:  # it may have failed while its workers started
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


if __name__ == '__main__':
    main()
