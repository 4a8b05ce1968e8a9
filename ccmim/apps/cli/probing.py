"""Settings and estimated time of k-NN and linear probes."""

import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope

from ccmim.apps.cli.quiet import no_messages
from ccmim.checkpoints import Weights, read_weights, write_weights
from ccmim.data.image import require_rgb
from ccmim.evaluation.knn import NEIGHBORS
from ccmim.files import say
from ccmim.labels.cut import spread
from ccmim.labels.photos import stored_size
from ccmim.precision import Precision, computing_in
from ccmim.progress import duration
from ccmim.registry import DATASETS, MODELS

_TRIED = 4  # photos
_MOST_PIXELS, _ENLARGED = 224, 4  # a side for features: larger cost more, add little
_LOOKED_AT = 15  # photos, for their usual size


def most_pixels(photos: Sequence[str | Path]) -> int:
    """Choose the longest side at which features are computed, unless more is asked for.

    It is 224, and less for small photos: enlarged more than four times they cost more
    and are no better recognized.
    """
    sides = []
    for photo in spread(photos, _LOOKED_AT):
        with suppress(OSError, ValueError):
            sides.append(min(stored_size(Path(photo))[0]))
    return min(_MOST_PIXELS, _ENLARGED * int(median(sides))) if sides else _MOST_PIXELS


def weights_from_args(path: str, args: Namespace) -> Weights:
    """Read weights with the options of the command line, and print what was read.

    Args:
        path: Where they are.
        args: Of ``add_weight_options``.

    Raises:
        ValueError: If they take other images than RGB.
    """
    weights = read_weights(
        path, num_heads=args.num_heads, img_size=args.img_size, part=args.part
    )
    say(*weights.report)
    require_rgb(weights.architecture.in_chans, path)
    return weights


def weights_file(path: str, weights: Weights, args: Namespace, out: Path) -> Path:
    """Find the file of weights; one that says all of itself is made where need be.

    Args:
        path: What the user gave.
        weights: What was read from it.
        args: Of ``add_weight_options``.
        out: Folder for the file.
    """
    given = Path(path).expanduser().absolute()
    if given.is_file() and not (args.num_heads or args.img_size or args.part):
        return given
    file = out / 'weights.safetensors'
    if file.is_file():
        there = read_weights(file).state
        if there.keys() == weights.state.keys() and all(
            torch.equal(there[name], value) for name, value in weights.state.items()
        ):
            return file
    write_weights(weights, file, 'safetensors', overwrite=True)
    return file


def usual_neighbors(config: Path) -> int:
    """Choose k: 20, or all where there are fewer training images.

    Args:
        config: Of k-NN.
    """
    cfg = Config.fromfile(config)
    with no_messages(), DefaultScope.overwrite_default_scope('ccmim'):
        return min(NEIGHBORS, len(DATASETS.build(cfg.train_dataloader.dataset)))


@torch.no_grad()
def estimate_probe(config: Path, networks: int, dtype: Precision) -> str:
    """Say how long features will take, from those of a few photos.

    Args:
        config: Of k-NN.
        networks: How many networks are measured.
        dtype: What they compute in.

    Returns:
        A line.
    """
    cfg, device = Config.fromfile(config), get_device()
    with no_messages(), DefaultScope.overwrite_default_scope('ccmim'):
        network = MODELS.build(cfg.model).backbone.to(device).eval()
        sets = [
            DATASETS.build(cfg[f'{s}_dataloader'].dataset) for s in ('train', 'val')
        ]
    start = time.perf_counter()
    photos = [sets[0][i]['inputs'] for i in range(min(_TRIED, len(sets[0])))]
    load = (time.perf_counter() - start) / len(photos)
    batch = torch.stack(photos).float().to(device)
    with computing_in(dtype, device):
        network.encode(network.embed(batch))  # the first one is slower
        start = time.perf_counter()
        network.encode(network.embed(batch)).cpu()
    each = (time.perf_counter() - start) / len(photos)
    count = sum(map(len, sets))
    each = max(each, load) if device == 'cuda' else each + load
    seconds = max(1, networks * count * each)
    height, width = batch.shape[-2:]
    return (
        f'Estimate     about {duration(seconds)}: {count:,} photos at {width} x '
        f'{height} px, {1000 * each:.0f} ms each'
        + (f', by {networks} networks' if networks > 1 else '')
    )
