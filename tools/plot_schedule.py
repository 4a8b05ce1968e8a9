r"""Plot the learning rates of a config, one line per parameter group.

    python tools/plot_schedule.py mm_configs/detection/mask_rcnn_vitb_coco.py \
        --epoch-length 1832 --out schedule.png [--cfg-options KEY=VALUE ...]

The real optimizer and schedulers run over the whole length, on a model without memory:
no data, no GPU and no weights are needed. --epoch-length is asked for where it matters.
"""

import argparse
import sys
from pathlib import Path

from matplotlib.figure import Figure

from ccmim.engine.config import read_config
from ccmim.engine.optim.rates import Schedule, learning_rates
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, replacing, say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--epoch-length', type=int, help='steps of an epoch')
    parser.add_argument('--out', type=Path, default=Path('schedule.png'))
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    return parser.parse_args()


def draw(schedule: Schedule, title: str, file: Path) -> None:
    """Draw a schedule; rates on a logarithmic axis, as layer decay spans decades."""
    figure = Figure((8, 4.5))
    axes = figure.subplots()
    count = len(schedule.names)
    for i, name in enumerate(schedule.names):
        shade = 0.15 + 0.7 * i / max(1, count - 1)
        axes.plot(
            schedule.steps,
            schedule.rates[:, i],
            color=(0.1, shade, 0.9 - 0.6 * shade),
            label=name,
        )
    axes.set_yscale('log')
    axes.set_xlabel(schedule.unit)
    axes.set_ylabel('learning rate')
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, ncols=2 if count > 12 else 1, loc='lower left')
    figure.tight_layout()
    with replacing(file) as part:
        figure.savefig(part, dpi=150)


def main() -> None:
    """Draw, and print the highest and the last rate of each group."""
    args = parse_args()
    try:
        cfg = read_config(args.config, None, args.cfg_options)
        schedule = learning_rates(cfg, args.epoch_length)
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    draw(schedule, Path(args.config).stem, args.out)
    print(f'{"group":<32}{"first":>12}{"highest":>12}{"last":>12}')
    for name, rates in zip(schedule.names, schedule.rates.T, strict=True):
        print(f'{name:<32}{rates[0]:12.3e}{rates.max():12.3e}{rates[-1]:12.3e}')
    say(f'drawn to {args.out}')


if __name__ == '__main__':
    main()
