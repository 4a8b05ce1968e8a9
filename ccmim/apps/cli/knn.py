"""``ccmim knn``: k-NN classification on frozen features, without a config."""

from argparse import Namespace
from pathlib import Path

from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.probing import (
    estimate_probe,
    usual_neighbors,
    weights_file,
    weights_from_args,
)
from ccmim.apps.cli.tasks import Tasks
from ccmim.apps.cli.tools import run_tool
from ccmim.files import say
from ccmim.labels.judge import require_good
from ccmim.labels.layouts import Classes, describe, find_labels


def run(args: Namespace) -> int:
    """Measure, and print the table."""
    data = find_labels(args.data.expanduser())
    if not isinstance(data, Classes):
        raise Mistake(
            f'{args.data} holds {describe(data).partition(":")[0]}, no class folders',
            f'ccmim transfer {args.weights} --data {args.data}',
        )
    require_good(data)
    weights = weights_from_args(args.weights, args)
    say(f'{data.root.name}: {describe(data)}')
    out = (args.out or Path('work_dirs') / f'knn_{data.root.name}').absolute()
    tasks = Tasks(
        weights.architecture, out, image_size=args.image_size, pixels=weights.pixels
    )
    config = tasks.write(data, data.root.name)
    checkpoint = weights_file(args.weights, weights, args, out)
    print(estimate_probe(config, 1 + args.random, args.dtype), flush=True)
    words = [checkpoint, '--config', config, '--out', out / 'accuracies.json', '--k']
    words += [
        *(args.k or [usual_neighbors(config)]),
        *['--linear'] * args.linear,
        *['--random'] * args.random,
        *('--features', out / 'features', '--dtype', args.dtype),
    ]
    return run_tool('knn', words, args.debug)
