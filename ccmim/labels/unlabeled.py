"""Check and summarize unlabeled images."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from PIL import Image

from ccmim.data.image import BadImageError, decode_image
from ccmim.data.sources import ImageSource, open_source
from ccmim.labels.report import Picture, Report


def check_unlabeled(
    dataset: Mapping[str, Any],
    kind: type,
    report: Report,
    num_pictures: int,
    with_labels: bool = True,
) -> None:
    """Count the images of a pretraining set, and decode those for the sheet.

    Args:
        dataset: Config of ``UnlabeledImages``.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many images to decode, evenly spread.
        with_labels: There are none.
    """
    del kind, with_labels
    try:
        source = open_source(dataset['data'], dataset.get('root'))
    except (ValueError, OSError) as error:
        report.problem(str(error))
        return
    report.images = len(source)
    step = max(1, len(source) // max(1, num_pictures))
    bad = []
    for i in range(0, len(source), step)[:num_pictures]:
        try:
            decode_image(source.read(i))
        except (BadImageError, OSError) as error:
            bad.append(f'{source.name(i)}: {error}')
        else:
            name = source.name(i).rpartition('/')[2]
            report.pictures.append(Picture(name, partial(_draw, source, i)))
    report.problem('images that cannot be used', bad)
    report.note(
        f'{min(num_pictures, len(source))} of them were decoded: '
        'tools/check_images.py decodes all'
    )


def _draw(source: ImageSource, index: int) -> Image.Image:
    return decode_image(source.read(index))
