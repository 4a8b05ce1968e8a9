"""Images with a class each: is there one for every class, and can all be opened?"""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ccmim.apps.dataset_check.drawing import open_upright
from ccmim.apps.dataset_check.files import upright_size
from ccmim.apps.dataset_check.report import Picture, Report, some
from ccmim.classification.labels import open_labels
from ccmim.classification.subset import listed_in, share_of_each_class
from ccmim.data.paths import printable

UNIT = 'images'


def check_labelled(
    dataset: Mapping[str, Any], kind: type, report: Report, num_pictures: int
) -> None:
    """Check the classes of a labelled set, and open the header of each image.

    Args:
        dataset: Config of ``LabelledImages``.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many images to prepare for the sheet, evenly spread.
    """
    del kind
    report.unit = UNIT
    options = (dataset.get(key) for key in ('data', 'root', 'classes'))
    try:
        labels = open_labels(*options)
        files = labels.paths()
    except (ValueError, OSError) as error:
        report.problem(str(error))
        return
    twice = [file for file, count in Counter(files).items() if count > 1]
    report.problem('images that are listed more than once', twice)
    found, faults = {}, defaultdict(list)
    for file in files:
        try:
            found[file] = labels.of(printable(os.path.abspath(file)))
        except ValueError:
            faults[
                'images in no class folder, or in one that is not in classes'
            ].append(printable(file))
    try:
        used = _chosen(dataset, found)
    except (ValueError, OSError) as error:
        report.problem(str(error))
        used = list(found)
    for file in tqdm(used, desc='images', leave=False, disable=None):
        if fault := _look(file):
            faults[fault].append(printable(file))
    for fault, names in faults.items():
        report.problem(fault, names)
    report.images = len(used)
    counts = Counter(found[file] for file in used)
    report.counts = {name: counts[i] for i, name in enumerate(labels.classes)}
    none = [name for name, count in report.counts.items() if not count]
    report.problem('classes without images', none)
    report.note('only headers were read: tools/check_images.py decodes all')
    step = max(1, len(used) // max(1, num_pictures))
    for file in used[::step][:num_pictures]:
        title = f'{labels.classes[found[file]]}: {os.path.basename(file)}'
        draw = partial(open_upright, file)
        report.pictures.append(Picture(printable(title), draw))


def compare_classes(reports: Sequence[Report], num_classes: int | None) -> None:
    """Report splits whose classes are not those of the first, or not of the head.

    Args:
        reports: Of labelled sets, that of training first.
        num_classes: Classes that the head of the model tells apart, None if unknown.
    """
    known = [report for report in reports if report.counts]
    for report in known:
        if num_classes is not None and len(report.counts) != num_classes:
            report.problem(
                f'there are {len(report.counts)} classes, and the head tells '
                f'{num_classes} apart: set model.head.num_classes'
            )
    for report in known[1:]:
        first, own = list(known[0].counts), list(report.counts)
        if own == first:
            continue
        less, more = sorted(set(first) - set(own)), sorted(set(own) - set(first))
        report.problem(
            f'its classes are not those of {known[0].title}'
            + (f'; missing: {some(less)}' if less else '')
            + (f'; new: {some(more)}' if more else '')
            + ('' if less or more else ', but in another order')
            + ': set dataset.classes in both'
        )


def _chosen(dataset: Mapping[str, Any], found: Mapping[str, int]) -> list[str]:
    """Choose the images that a share or a file of names leaves."""
    files = list(found)
    if dataset.get('names') is not None:
        return [files[i] for i in listed_in(files, dataset['names'])]
    share = dataset.get('label_share', 1.0)
    if share >= 1:
        return files
    numbers = share_of_each_class(list(found.values()), share, dataset.get('seed', 0))
    return [files[i] for i in numbers]


def _look(file: str) -> str | None:
    try:
        upright_size(Path(file))
    except FileNotFoundError:
        return 'images that do not exist'
    except (OSError, ValueError):
        return 'images that cannot be read'
    return None
