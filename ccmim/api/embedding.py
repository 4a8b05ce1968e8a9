"""Features of a folder of photos, with the photos' names.

n photos, N patches, D width.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import torch
from mmengine.device import get_device
from torch import Tensor, nn

from ccmim.api.features import Prepare
from ccmim.checkpoints import build_backbone, check_features, read_weights
from ccmim.data import open_source
from ccmim.data.bad_files import reason_of
from ccmim.data.image import BadImageError, decode_image, require_rgb
from ccmim.data.sources import ImageSource
from ccmim.evaluation.embeddings import Embeddings
from ccmim.evaluation.features import POOLS, Pool
from ccmim.progress import progress as shown
from ccmim.ranges import Count, in_ranges

MOST_PIXELS = 224  # a side: larger ones cost more and add little


@torch.no_grad()
@in_ranges
def embed(
    weights: str | Path | nn.Module,
    data: str | os.PathLike | Sequence[str | os.PathLike],
    pool: Pool | Literal['patches'] = 'class',
    image_size: Count | None = None,
    batch_size: Count = 32,
    device: str | torch.device | None = None,
    progress: bool = False,
    part: str = '',
    num_heads: int | None = None,
    img_size: int | list[int] | None = None,
) -> Embeddings:
    """Compute a feature of each photo, as ``ccmim embed`` does.

    Args:
        weights: File, folder, ``timm:NAME`` or ``hf:OWNER/NAME``; or a network.
        data: What ``ccmim pretrain`` takes: a folder, a list of paths (.txt), tars,
            zips, patterns, or several of them.
        pool: 'class' token, 'average' of the patches, 'both' in a row, or 'patches'
            for one of each patch, in float16.
        image_size: Side in pixels at which photos are looked at; that of the weights,
            224 at most, when None. Photos are resized and cropped in the center, and
            normalized as the weights ask.
        batch_size: Photos at a time.
        device: Where to compute; a GPU if there is one. A network stays where it is.
        progress: Whether to show a bar.
        part: Of weights, see ``read_weights``.
        num_heads: Likewise.
        img_size: Likewise.

    Returns:
        Names in order, features, and why photos were left out.

    Raises:
        FileNotFoundError: If weights or data do not exist.
        ValueError: If no photo can be read, there is no such pool, or the weights
            cannot be read.
    """
    source = open_source(data)
    if isinstance(weights, nn.Module):
        model = weights
    else:
        options = dict(part=part, num_heads=num_heads)
        size = image_size or usual_side(weights, img_size=img_size, **options)
        model = build_backbone(weights, img_size=size, **options)
        model = model.to(device or get_device())
    backbone = getattr(model, 'backbone', model)
    like, prepare = backbone.patch_embed.proj.weight, Prepare(model)
    require_rgb(like.shape[1], 'the network')
    names: list[str] = []
    left_out: dict[str, str] = {}
    features: list[Tensor] = []
    inputs: list[Tensor] = []

    def compute() -> None:
        batch = torch.stack(inputs).to(like.device, like.dtype)
        tokens = backbone.encode(backbone.embed(batch))
        pooled = tokens[:, 1:].half() if pool == 'patches' else POOLS[pool](tokens)
        features.append((pooled if pool == 'patches' else pooled.float()).cpu())
        inputs.clear()

    was_training = backbone.training
    backbone.eval()
    try:
        read = _read_ahead(source, prepare, batch_size)
        bar = shown(read, 'Embedding', len(source), 'photos', not progress)
        for name, image in bar:  # or the reason why there is none
            if isinstance(image, str):
                left_out[name] = image
                continue
            names.append(name)
            inputs.append(image)
            if len(inputs) == batch_size:
                compute()
        if inputs:
            compute()
    finally:
        backbone.train(was_training)
    if not names:
        name, reason = next(iter(left_out.items()))
        raise ValueError(f'no photo can be read, such as {name}: {reason}')
    total = torch.cat(features)
    check_features(total, backbone)
    return Embeddings(names, total, left_out)


def usual_side(
    weights: str | Path,
    part: str = '',
    num_heads: int | None = None,
    img_size: int | list[int] | None = None,
) -> int | list[int]:
    """Choose the side at which whole photos are looked at; arguments as of ``embed``.

    Returns:
        That of the weights, 224 px at most.
    """
    known = read_weights(weights, part=part, num_heads=num_heads, img_size=img_size)
    own, patch = known.architecture.img_size, known.architecture.patch_size
    sides = [own] if isinstance(own, int) else own
    return own if max(sides) <= MOST_PIXELS else max(MOST_PIXELS // patch, 1) * patch


def _read_ahead(
    source: ImageSource, prepare: Prepare, batch_size: int
) -> Iterator[tuple[str, Tensor | str]]:
    """Yield each photo's name, and its input or why there is none; in order."""

    def read(index: int) -> Tensor | str:
        try:
            return prepare(decode_image(source.read(index)))
        except (BadImageError, OSError) as error:
            return reason_of(error)

    waiting: deque[tuple[int, Future]] = deque()
    with ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0)))) as pool:
        for index in range(len(source)):
            waiting.append((index, pool.submit(read, index)))
            if len(waiting) > 2 * batch_size:
                i, done = waiting.popleft()
                yield source.name(i), done.result()
        for i, done in waiting:
            yield source.name(i), done.result()
