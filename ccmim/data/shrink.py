"""Make smaller JPEG copies of photos, which load faster."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le
from PIL import Image

from ccmim.data.bad_files import reason_of
from ccmim.data.folders import walk_images
from ccmim.data.image import BadImageError, decode_image
from ccmim.data.sources import read_file
from ccmim.files import WriteError, replacing
from ccmim.ranges import Count, in_ranges


@in_ranges
def shrink_images(
    source: str | os.PathLike,
    target: str | os.PathLike,
    short_side: Annotated[int, Ge(32)] = 256,
    quality: Annotated[int, Ge(1), Le(95)] = 92,
    num_workers: Count | None = None,
) -> Iterator[tuple[str, str | None]]:
    """Copy a folder tree of images with the short side brought down to a length.

    Upright 8-bit RGB JPEGs under the same relative names with ``.jpg`` added; images
    that are smaller keep their size. A file that exists is left as it is, and each one
    appears whole or not at all: an interrupted run continues where it stopped.

    Args:
        source: Folder of images, searched recursively.
        target: Folder to write, outside of ``source``.
        short_side: Pixels, 32 or more.
        quality: Of the JPEGs, from 1 to 95.
        num_workers: Processes; as many as there are cores when None.

    Yields:
        For each image its path and None, or why it was left out.

    Raises:
        ValueError: A value is out of range, there is no image, or the target lies
            inside the source.
    """
    source, target = Path(source).absolute(), Path(target).absolute()
    if target.is_relative_to(source):
        raise ValueError(f'{target} lies inside {source}: choose a folder outside')
    paths = walk_images(str(source))
    work = partial(_shrink, source, target, short_side, quality)
    with ProcessPoolExecutor(num_workers) as pool:
        yield from zip(paths, pool.map(work, paths, chunksize=16), strict=True)


def _shrink(
    source: Path, target: Path, short_side: int, quality: int, path: str
) -> str | None:
    copy = target / Path(path).relative_to(source)
    # The whole name is kept: a.png and a.jpg in one folder are two images.
    if copy.suffix.lower() not in ('.jpg', '.jpeg'):
        copy = copy.with_name(copy.name + '.jpg')
    if copy.exists():
        return None
    try:
        image = decode_image(read_file(path), least_side=2 * short_side)
        scale = short_side / min(image.size)
        if scale < 1:
            size = tuple(max(1, round(side * scale)) for side in image.size)
            image = image.resize(size, Image.Resampling.BICUBIC)
        with replacing(copy) as part:
            image.save(part, 'JPEG', quality=quality)
    except WriteError:
        raise
    except (BadImageError, OSError) as error:
        return reason_of(error)
    return None
