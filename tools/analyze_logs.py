r"""Draw curves of runs, or compute how long their steps took.

    python tools/analyze_logs.py plot_curve work_dirs/mae work_dirs/ccmim \
        --keys loss grad_norm --legend MAE ccMIM --out curves.png
    python tools/analyze_logs.py cal_train_time work_dirs/mae work_dirs/ccmim

LOG is a work dir, whose sessions count as one run, or one scalars.json.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ccmim.apps.runs.folder import find_runs
from ccmim.apps.runs.scalars import History, merge, read_lines
from ccmim.files import Parser, replacing, say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='draw values over steps')
    plot.add_argument('logs', nargs='+', type=Path, metavar='LOG')
    plot.add_argument('--keys', nargs='+', default=['loss'], help='what to draw')
    plot.add_argument('--title', default='', help='what stands above')
    plot.add_argument(
        '--legend', nargs='+', help='names: one a run, or one for each key of each run'
    )
    plot.add_argument('--out', type=Path, default=Path('curves.png'), help='.png, .pdf')
    time = tasks.add_parser('cal_train_time', help='compute the time of a step')
    time.add_argument('logs', nargs='+', type=Path, metavar='LOG')
    time.add_argument(
        '--include-outliers',
        action='store_true',
        help='count the first logged interval too, in which all warms up',
    )
    return parser.parse_args()


def read_histories(logs: list[Path]) -> dict[str, History]:
    """Read each log, by its name.

    Args:
        logs: Work dirs and files.

    Returns:
        A history a run.

    Raises:
        ValueError: If one holds nothing.
    """
    histories: dict[str, History] = {}
    for log in logs:
        if log.is_dir():
            histories |= {str(run.folder): run.history for run in find_runs([log])}
        elif log.is_file():
            histories[str(log)] = merge([read_lines(log)])
        else:
            raise ValueError(f'{log} does not exist')
    if empty := [name for name, history in histories.items() if not history.training]:
        raise ValueError(f'{empty[0]} has logged no training yet')
    return histories


def plot_curve(histories: dict[str, History], args: argparse.Namespace) -> None:
    """Draw the asked values, each run in its color or each curve in its own."""
    many, keys = len(histories), args.keys
    titles = args.legend or list(histories)
    if len(titles) not in (many, many * len(keys)):
        raise ValueError(
            f'--legend has {len(titles)} names: give {many}, one a run, or '
            f'{many * len(keys)}, one for each key of each run'
        )
    figure = Figure((8, 4.5), layout='constrained')
    axes = figure.subplots()
    for i, (name, history) in enumerate(histories.items()):
        known = history.training | history.scores
        for j, key in enumerate(keys):
            if key not in known:
                raise ValueError(f'{name} has no {key}; it has {", ".join(known)}')
            number = i * len(keys) + j
            short = f'{titles[i]}: {key}' if len(keys) > 1 else titles[i]
            label = short if len(titles) == many else titles[number]
            axes.plot(*known[key], label=label)
    axes.set_title(args.title, loc='left')
    axes.set_xlabel('step')
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    with replacing(args.out) as part:
        figure.savefig(part, dpi=150)
    say(f'drawn to {args.out}')


def cal_train_time(histories: dict[str, History], args: argparse.Namespace) -> None:
    """Print the time of a step of each run: mean, spread, fastest and slowest."""
    for name, history in histories.items():
        say(f'-----Analyze train time of {name}-----')
        if 'time' not in history.training:
            raise ValueError(f'{name} has logged no time')
        steps, times = history.training['time']
        if len(times) > 1 and not args.include_outliers:
            steps, times = steps[1:], times[1:]
        length = history.epoch_length
        # The steps of an epoch, or each interval of a run that counts no epochs.
        unit = 'epoch' if length else 'step'
        epochs = np.ceil(steps / length).astype(int) if length else steps
        means = {int(p): float(times[epochs == p].mean()) for p in np.unique(epochs)}
        slow, fast = max(means, key=means.get), min(means, key=means.get)
        print(f'slowest {unit} {slow}, average time is {means[slow]:.4f} s/iter')
        print(f'fastest {unit} {fast}, average time is {means[fast]:.4f} s/iter')
        print(f'time std over {unit}s is {np.std(list(means.values())):.4f}')
        print(f'average iter time: {np.mean(list(means.values())):.4f} s/iter\n')


def main() -> None:
    """Do what is asked."""
    args = parse_args()
    try:
        histories = read_histories(args.logs)
        if args.task == 'plot_curve':
            plot_curve(histories, args)
        else:
            cal_train_time(histories, args)
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
