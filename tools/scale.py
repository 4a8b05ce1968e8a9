"""Measure, without a GPU, how cost grows: images, processes, tokens, loader workers.

    python tools/scale.py                      # to 10 million images; a few minutes
    python tools/scale.py --images 1e4 1e6 --out work_dirs/scale

Writes a table (Markdown) and a plot. Seconds are those of the processor, so that other
work on the machine counts little; memory is what a process holds.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from ccmim.apps.cli.arguments import positive
from ccmim.files import Parser

TRANSFORM = dict(type='ccmim.ToUint8Tensor')
DIMS = dict(embed_dim=768, num_heads=12)


def main() -> int:
    """Measure each part in a process of its own, and write what was found."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--images', nargs='+', type=number, default=[1e4, 1e5, 1e6, 1e7], metavar='N'
    )
    parser.add_argument(
        '--processes', nargs='+', type=positive, default=[1, 4, 16, 64], metavar='N'
    )
    parser.add_argument(
        '--tokens',
        nargs='+',
        type=positive,
        default=[196, 1024, 4096, 16384],
        metavar='N',
    )
    parser.add_argument(
        '--workers', nargs='+', type=int, default=[0, 1, 2], metavar='N'
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/scale'))
    parser.add_argument('--one', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        kind, size = args.one
        measure = dict(
            images=of_images, processes=of_gather, tokens=of_tokens, workers=of_workers
        )
        print(json.dumps(measure[kind](int(float(size)))))
        return 0
    if min(args.workers) < 0:
        parser.error('--workers must be at least 0')
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(
            f'cannot write to {args.out} ({error.strerror}): choose another --out'
        )
    rows = {}
    for kind in ('images', 'processes', 'tokens', 'workers'):
        rows[kind] = [
            {kind: int(size), **_apart(kind, size)} for size in getattr(args, kind)
        ]
        print(_table(rows[kind]), flush=True)
    text = '\n'.join(_table(part) for part in rows.values())
    (args.out / 'scale.md').write_text(text)
    _plot(rows, args.out / 'scale.png')
    print(f'Written: {args.out}/scale.md and scale.png')
    return 0


def number(text: str) -> int:
    """Read a whole number of at least 1, such as 1e6."""
    return positive(f'{float(text):.0f}')


def of_images(count: int) -> dict[str, float]:
    """Open a list of so many images, and do what the start and a resume do with it."""
    from ccmim.data import UnlabeledImages, VisitSampler
    from ccmim.engine.resume.data_record import fingerprint, image_list, write_list

    with tempfile.TemporaryDirectory() as folder:
        _write_images(Path(folder), count)
        UnlabeledImages(f'{folder}/part0', TRANSFORM)  # imports what it needs
        before = _held()
        data, opening = _timed(lambda: UnlabeledImages(f'{folder}/list.txt', TRANSFORM))
        sampler = VisitSampler(data, seed=0)
        keys, ordering = _timed(lambda: [*islice(sampler, 64)])
        names, listing = _timed(lambda: image_list(data))
        _, hashing = _timed(lambda: fingerprint(names))
        _, writing = _timed(lambda: write_list(folder, names))
        record = os.path.getsize(f'{folder}/images.txt.gz')
        names = None
        return {
            'open, s': opening,
            'first keys of an epoch, s': ordering,
            'compared on resume, s': listing + hashing,
            'list in the work dir, s': writing,
            'list in the work dir, MB': record / 2**20,
            'held by the main process, MB': _held() - before,
            'at the peak, MB': _peak() - before,
            'more in each worker, MB': _of_worker(data, len(keys)),
        }


def of_gather(processes: int) -> dict[str, float]:
    """Contrast 64 images of one process with those of all, as ccMIM's loss does."""
    import torch

    from ccmim.losses.contrast import info_nce

    keys = torch.randn(64 * processes, 256)
    queries = torch.randn(64, 256, requires_grad=True)
    own = torch.arange(64)

    def step() -> None:
        info_nce(queries, keys, own, 0.2)[0].backward()

    return {
        'negatives': 64 * processes - 1,
        'loss and gradient, ms': 1e3 * _repeated(step),
        'gathered by each, MB': keys.nbytes / 2**20,
    }


def of_tokens(count: int) -> dict[str, float]:
    """Run one block of ViT-B forth and back, with all tokens and in windows of 14."""
    import torch

    from ccmim.vit import Block

    side = round(count**0.5)
    block = Block(DIMS['embed_dim'], DIMS['num_heads'])
    tokens = torch.randn(1, side * side, DIMS['embed_dim'], requires_grad=True)
    times = {}
    for name, run in {
        'global': lambda: block(tokens),
        'windows': lambda: block.forward_windows(tokens, (side, side), 14),
    }.items():
        times[f'{name}, ms'] = 1e3 * _repeated(lambda run=run: run().sum().backward())
    return times


def of_workers(count: int) -> dict[str, float]:
    """Decode and crop 512 photos of 500 x 375 px to 224 px, as pretraining does."""
    import numpy as np
    from PIL import Image
    from torch.utils.data import DataLoader

    from ccmim.data import UnlabeledImages

    crop = dict(type='ccmim.RandomResizedCrop', size=224, scale=(0.2, 1.0))
    with tempfile.TemporaryDirectory() as folder:
        small = np.random.default_rng(0).integers(0, 255, (512, 24, 32, 3), np.uint8)
        for i, pixels in enumerate(small):
            photo = Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC)
            photo.save(f'{folder}/{i:03}.jpg', quality=90)
        data = UnlabeledImages(folder, [crop, TRANSFORM], least_side=224)
        loader = DataLoader(data, 64, num_workers=count)
        started = time.monotonic()
        passed = sum(len(batch['inputs']) for batch in loader)
        return {'images a second': passed / (time.monotonic() - started)}


def _write_images(folder: Path, count: int) -> None:
    from PIL import Image

    for part in range(64):  # the first ones are there
        (folder / f'part{part}').mkdir()
        Image.new('RGB', (64, 64)).save(folder / f'part{part}/{part:08}.jpg')
    with open(folder / 'list.txt', 'w') as file:
        file.writelines(f'part{i % 1000}/{i:08}.jpg\n' for i in range(count))


def _of_worker(data: Any, count: int) -> float:
    """What a forked worker holds for itself after some images."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        before = _own()
        for index in range(count):
            data[index]
        os.write(writing, str(_own() - before).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return float(os.read(reading, 64))


def _timed(call: Any) -> tuple[Any, float]:
    started = time.process_time()
    return call(), time.process_time() - started


def _repeated(step: Any) -> float:
    """Seconds of the fastest of up to four, started within ten seconds."""
    times = []
    while len(times) < 4 and sum(times) < 10:
        times.append(_timed(step)[1])
    return min(times)


def _held() -> float:
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 2**20


def _own() -> float:
    lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
    private = [line.split()[1] for line in lines if line.startswith('Private')]
    return sum(map(int, private)) / 1024


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _apart(kind: str, size: float) -> dict[str, float]:
    words = [sys.executable, __file__, '--one', kind, str(size)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f'{kind} {size:g}: {done.stderr.strip()[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def _table(rows: list[dict[str, float]]) -> str:
    lines = ['| ' + ' | '.join(rows[0]) + ' |', '|---' * len(rows[0]) + '|']
    lines += [
        '| ' + ' | '.join(_short(value) for value in row.values()) + ' |'
        for row in rows
    ]
    return '\n'.join(lines) + '\n'


def _short(value: float) -> str:
    return f'{value:,}' if isinstance(value, int) else f'{value:,.3g}'


def _plot(rows: dict[str, list[dict[str, float]]], file: Path) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(rows), figsize=(15, 4.5))
    for axis, (kind, part) in zip(axes, rows.items(), strict=True):
        for name in list(part[0])[1:]:
            if name.endswith((' s', 'ms', 'MB', 'second')):
                axis.plot(
                    [row[kind] for row in part],
                    [max(row[name], 1e-3) for row in part],
                    'o-',
                    label=name,
                )
        # A logarithm has no place for no workers.
        scale = 'linear' if kind == 'workers' else 'log'
        axis.set(xscale=scale, yscale=scale, xlabel=kind)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


if __name__ == '__main__':
    sys.exit(main())
