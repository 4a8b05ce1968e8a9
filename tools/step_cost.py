r"""Measure the cost of a training step of pretraining configs, relative to the first.

    python tools/step_cost.py mae=mm_configs/small/mae_vitt.py \
        ccmim=mm_configs/small/ccmim_vitt.py [--batch-size 16] [--rounds 5] [--steps 2]
        [--out costs.json] [--cfg-options KEY=VALUE ...]

Steps are timed in rounds over all configs in turn, in float32: by CPU time on a CPU, by
the clock of a GPU. A teacher's weights are random and need not be given.
"""

import argparse
import sys

import mmengine
from mmengine.device import get_device
from torch import device

from benchmarks.configs import step_costs
from ccmim.checkpoints.atomic import write_atomically
from ccmim.engine.config import read_config
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='NAME=CONFIG')
    parser.add_argument('--batch-size', type=int, default=16, help='images a step')
    parser.add_argument('--rounds', type=int, default=5, help='over all configs')
    parser.add_argument('--steps', type=int, default=2, help='of a config in a round')
    parser.add_argument('--out', help='FILE.json to write the times to')
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    args = parser.parse_args()
    if args.batch_size < 2 or min(args.rounds, args.steps) < 1:
        parser.error('--batch-size must be at least 2, --rounds and --steps 1')
    return args


def main() -> None:
    """Measure and print a line for each config."""
    args = parse_args()
    try:
        named = dict(text.split('=', 1) for text in args.configs if '=' in text)
        if len(named) < len(args.configs):
            raise ValueError('give NAME=CONFIG for each config, every name once')
        configs = {
            name: read_config(file, options=args.cfg_options)
            for name, file in named.items()
        }
        for name, cfg in configs.items():
            if not {'decoder', 'projector', 'text_tower'} & cfg.get('model', {}).keys():
                raise ValueError(f'{named[name]} pretrains nothing: leave it out')
        costs = step_costs(
            configs, args.batch_size, args.rounds, args.steps, device(get_device())
        )
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    first = next(iter(costs.values()))
    print(f'{"":<20}{"ms an image":>12}{"times the first":>17}')
    for name, seconds in costs.items():
        say(f'{name:<20}{1000 * seconds:12.2f}{seconds / first:17.2f}')
    if args.out:
        write_atomically()
        mmengine.dump(costs, args.out)


if __name__ == '__main__':
    main()
