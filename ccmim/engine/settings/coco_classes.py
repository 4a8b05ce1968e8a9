"""Classes of a config and categories of an annotation file in COCO's format."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ccmim.engine.settings.names import did_you_mean

_SHOWN = 10  # names of a long list


def check_coco_file(
    dataset: Mapping[str, Any], kind: type, classes: Sequence[str]
) -> None:
    """Check that a data set's file names its classes, in their order.

    Categories that are not asked for are left out by mmdet, and numbers may have gaps.

    Args:
        dataset: Config of the data set.
        kind: Its class.
        classes: Their names in the config.

    Raises:
        ValueError: If the file is missing, empty or no such file, or has other classes.
    """
    path = os.path.join(dataset.get('data_root') or '', dataset.get('ann_file') or '')
    if '://' in path:
        return  # read by mmengine, from elsewhere
    names = _categories(path)
    lists = f'classes in config: {_some(classes)}; in {path}: {_some(names)}'
    for name in classes:
        if name not in names:
            raise ValueError(f'{lists}. {name} is not there{did_you_mean(name, names)}')
    in_file = [name for name in names if name in classes]
    if in_file != list(classes):
        raise ValueError(
            f'{lists}. mmdet numbers them in the order of the file: give them as '
            f'{_some(in_file)}'
        )


def _categories(path: str) -> list[str]:
    if not os.path.isfile(path):
        raise ValueError(f'annotation file {path} does not exist')
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except ValueError as error:
        raise ValueError(f'annotation file {path} is no JSON: {error}') from None
    for part in ('images', 'annotations', 'categories'):
        if not isinstance(content, dict) or not content.get(part):
            raise ValueError(f'annotation file {path} holds no {part}')
    return [category.get('name') for category in content['categories']]


def _some(names: Sequence[str]) -> str:
    more = f', ... ({len(names)})' if len(names) > _SHOWN else ''
    return ', '.join(map(str, names[:_SHOWN])) + more
