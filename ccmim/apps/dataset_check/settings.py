"""What the config of a data set says: folders, classes, colours."""

import colorsys
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccmim.apps.dataset_check.report import Colour, Report


def place(dataset: Mapping[str, Any], path: str) -> Path:
    """Join a path of a data set with its root, as mmengine does.

    Args:
        dataset: Config of the data set.
        path: Relative to ``data_root``, or absolute.

    Returns:
        The joined path.

    Raises:
        ValueError: If it is not on a disk.
    """
    joined = os.path.join(dataset.get('data_root') or '', path)
    if '://' in joined:
        raise ValueError(f'{joined} is not on a disk: only files there can be checked')
    return Path(joined)


def class_names(dataset: Mapping[str, Any], kind: type) -> list[str]:
    """Name the classes of a data set.

    Args:
        dataset: Its config, whose ``metainfo`` comes first.
        kind: Its class.

    Returns:
        Their names, by number.

    Raises:
        ValueError: If it has none, or names a file that does not exist.
    """
    given = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(given, str):
        if not Path(given).is_file():
            raise ValueError(
                f'metainfo.classes={given!r} is a text and no file: one class is '
                f'written ({given!r},)'
            )
        return Path(given).read_text().splitlines()
    names = list(given or kind.METAINFO.get('classes') or ())
    if not names:
        raise ValueError(f'{kind.__name__} has no classes: set metainfo.classes')
    return names


def colours(
    dataset: Mapping[str, Any], kind: type, classes: Sequence[str], report: Report
) -> list[Colour]:
    """Choose a colour for each class, and report a palette that does not fit.

    Args:
        dataset: Config of the data set, whose ``metainfo`` comes first.
        kind: Its class.
        classes: Names of its classes.
        report: What is wrong goes here.

    Returns:
        The palette, where it fits, else colours around the wheel.
    """
    given = (dataset.get('metainfo') or {}).get('palette')
    if given is not None and len(given) != len(classes):
        report.problem(
            f'metainfo.palette has {len(given)} colours, and there are {len(classes)} '
            'classes: give one for each'
        )
    palette = given or kind.METAINFO.get('palette') or ()
    if len(palette) == len(classes):
        return [tuple(colour) for colour in palette]
    wheel = [colorsys.hsv_to_rgb(i * 0.618 % 1, 0.9, 1) for i in range(len(classes))]
    return [tuple(round(255 * part) for part in colour) for colour in wheel]
