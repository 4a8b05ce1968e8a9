"""Class numbers in the masks of a segmentation data set."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ccmim.engine.settings.names import default_of

_SAMPLE = 8  # masks that are looked at
_IGNORED = 255


def check_masks(dataset: Mapping[str, Any], kind: type, classes: Sequence[str]) -> None:
    """Check that some of the masks hold numbers of classes, and no others.

    Args:
        dataset: Config of the data set.
        kind: Its class.
        classes: Their names in the config.

    Raises:
        ValueError: If there are no masks, or one has another number, or colours.
    """
    prefix = (dataset.get('data_prefix') or {}).get('seg_map_path')
    steps = [str(step.get('type')) for step in dataset.get('pipeline') or ()]
    if prefix is None or not any(step.endswith('LoadAnnotations') for step in steps):
        return
    folder = os.path.join(dataset.get('data_root') or '', prefix)
    if '://' in folder:
        return  # read by mmengine, from elsewhere
    suffix = _setting(dataset, kind, 'seg_map_suffix')
    files = sorted(Path(folder).rglob(f'*{suffix}'))
    if not files:
        raise ValueError(f'there are no masks (*{suffix}) in {folder}')
    # Classes that are left out keep their numbers in the files.
    number = max(len(classes), len(kind.METAINFO.get('classes', ())))
    first = 1 if _setting(dataset, kind, 'reduce_zero_label') else 0
    ignored = {0, _IGNORED} if first else {_setting(dataset, kind, 'ignore_index')}
    for file in files[:: -(-len(files) // _SAMPLE)]:
        _check_mask(file, range(first, first + number), ignored | {_IGNORED})


def _check_mask(file: Path, numbers: range, ignored: set[int]) -> None:
    with Image.open(file) as image:
        values = np.asarray(image)
    if values.ndim != 2:
        raise ValueError(
            f'mask {file} has {values.shape[-1]} channels: it must have one, with the '
            'number of the class of each pixel'
        )
    wrong = sorted(set(np.unique(values).tolist()) - set(numbers) - ignored)
    if wrong:
        raise ValueError(
            f'mask {file} holds the number {wrong[-1]}, and the {len(numbers)} classes '
            f'of the config have {numbers[0]} to {numbers[-1]} ({_IGNORED} is ignored)'
        )


def _setting(dataset: Mapping[str, Any], kind: type, name: str) -> Any:
    return dataset[name] if name in dataset else default_of(kind, name)
