"""Dataset settings in a config: folders, classes, colors."""

import colorsys
import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from inspect import Parameter
from pathlib import Path
from typing import Any

from ccmim.labels.read import read_text
from ccmim.labels.report import Color


class _Plain:
    """Stands for a data set of mmdet or mmseg that has no classes of its own."""

    METAINFO: Mapping[str, Any] = {}

    def __init__(
        self,
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
    ) -> None: ...


def plain_kind(name: str) -> type:
    """Make what stands for a data set whose config says all that the checks ask.

    Args:
        name: Of its class.
    """
    return type(name, (_Plain,), {})


def resolve_path(dataset: Mapping[str, Any], path: str) -> Path:
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
        return read_text(given).splitlines()
    names = list(given or kind.METAINFO.get('classes') or ())
    if not names:
        raise ValueError(f'{kind.__name__} has no classes: set metainfo.classes')
    return names


def colors(
    dataset: Mapping[str, Any], kind: type, classes: Sequence[str]
) -> list[Color]:
    """Choose a color for each class.

    Args:
        dataset: Config of the data set, whose ``metainfo`` comes first.
        kind: Its class.
        classes: Names of its classes.

    Returns:
        The palette, where it fits, else colors around the wheel.
    """
    given = (dataset.get('metainfo') or {}).get('palette')
    palette = given or kind.METAINFO.get('palette') or ()
    if len(palette) == len(classes):
        return [tuple(color) for color in palette]
    return wheel(len(classes))


def wheel(count: int) -> list[Color]:
    """Choose colors that are far apart.

    Args:
        count: How many.

    Returns:
        The colors.
    """
    colors = [colorsys.hsv_to_rgb(i * 0.618 % 1, 0.9, 1) for i in range(count)]
    return [tuple(round(255 * part) for part in color) for color in colors]


def setting(dataset: Mapping[str, Any], kind: type, name: str) -> Any:
    """Read an argument of a data set: what the config says, else the default.

    Args:
        dataset: Config of the data set.
        kind: Its class.
        name: Of the argument.

    Returns:
        Its value, None if there is no such argument.
    """
    if name in dataset:
        return dataset[name]
    for owner in kind.__mro__:
        known = inspect.signature(owner.__init__).parameters
        if name in known and known[name].default is not Parameter.empty:
            return known[name].default
    return None


def turns(dataset: Mapping[str, Any]) -> bool:
    """Return whether a pipeline turns photos as their EXIF entry says.

    Args:
        dataset: Config of the data set.

    Returns:
        False where ``LoadImageFromFile`` is told to ignore it.
    """
    steps = dataset.get('pipeline') or ()
    return not any(
        str(step.get('color_type', 'color')).endswith(('_orientation', 'unchanged'))
        for step in steps
        if str(step.get('type')).endswith('LoadImageFromFile')
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest name: the end of a message, empty if none is near.

    Args:
        name: What was written.
        known: What there is.

    Returns:
        The text.
    """
    names = {str(one).casefold().strip(): one for one in known}
    near = get_close_matches(str(name).casefold().strip(), sorted(names), n=1)
    return f': did you mean {names[near[0]]}?' if near else ''
