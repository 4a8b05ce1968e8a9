"""Check class folders: images in every class, all readable."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ccmim.classification.labels import open_labels
from ccmim.classification.subset import listed_in, part_of_each_class
from ccmim.data.paths import printable
from ccmim.labels.drawing import open_upright
from ccmim.labels.photos import is_cut, same_files, upright_size
from ccmim.labels.report import Picture, Report, some
from ccmim.progress import progress

UNIT = 'images'
_LOOKED_AT = 100_000  # more images are known by their names alone


def check_labeled(
    dataset: Mapping[str, Any],
    kind: type,
    report: Report,
    num_pictures: int,
    with_labels: bool = True,
) -> None:
    """Check the classes of a labeled set, and open the header of each image.

    Args:
        dataset: Config of ``LabeledImages``.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many images to prepare for the sheet, evenly spread.
        with_labels: Labels are needed in any case.
    """
    del kind, with_labels
    report.unit, report.source = UNIT, str(dataset.get('data'))
    options = (dataset.get(key) for key in ('data', 'root', 'classes'))
    try:
        labels = open_labels(*options)
        files = labels.paths()
    except (ValueError, OSError) as error:
        report.problem(str(error))
        return
    twice = [file for file, count in Counter(files).items() if count > 1]
    report.problem('images that are listed more than once (list each once)', twice)
    class_of, faults = {}, defaultdict(list)
    for file in files:
        try:
            class_of[file] = labels.of(printable(os.path.abspath(file)))
        except ValueError:
            faults[
                'images in no class folder, or in one that is not in classes'
            ].append(printable(file))
    try:
        used = _chosen(dataset, class_of)
    except (ValueError, OSError) as error:
        report.problem(str(error))
        used = list(class_of)
    for fault, names in faults.items():
        report.problem(fault, names)
    few = len(used) <= _LOOKED_AT
    looked_at = progress(used if few else (), 'Checking', len(used), 'images')
    bad = [(file, _look(file)) for file in looked_at]
    bad = [f'{printable(file)}: {fault}' for file, fault in bad if fault]
    report.damaged(bad, len(used), is_replaced=True)
    report.images, report.files = len(used), used
    report.name_classes(labels.classes)
    if few:
        pairs = [
            f'{a} = {b}' for a, b in same_files(used) if class_of[a] != class_of[b]
        ]
        what = 'photos that are in two classes: keep one of each'
        report.fault(what, pairs, len(used))
    counts = Counter(class_of[file] for file in used)
    report.counts = {name: counts[i] for i, name in enumerate(labels.classes)}
    none = [name for name, count in report.counts.items() if not count]
    add = report.problem if report.title.startswith('train') else report.note
    add('classes without images', none)
    if len(report.counts) == 1:
        only = printable(*report.counts)
        report.problem(f'there is one class, {only}, and nothing to tell it from')
    what = 'headers and ends' if few else 'names'
    report.note(f'only {what} were read: tools/check_images.py decodes all')
    step = max(1, len(used) // max(1, num_pictures))
    for file in used[::step][:num_pictures]:
        title = f'{labels.classes[class_of[file]]}: {os.path.basename(file)}'
        draw = partial(open_upright, file)
        report.pictures.append(Picture(printable(title), draw))


def compare_classes(reports: Sequence[Report], num_classes: int | None) -> None:
    """Report splits whose classes are not those of the first, or not of the head.

    Args:
        reports: Of labeled sets, that of training first.
        num_classes: Classes that the head of the model distinguishes, None if unknown.
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
            + ': name the folders alike, or set dataset.classes in both'
        )


def _chosen(dataset: Mapping[str, Any], class_of: Mapping[str, int]) -> list[str]:
    """Choose the images that a fraction or a file of names leaves."""
    files = list(class_of)
    if dataset.get('names') is not None:
        return [files[i] for i in listed_in(files, dataset['names'])]
    fraction = dataset.get('label_ratio', 1.0)
    if fraction >= 1:
        return files
    numbers = part_of_each_class(
        list(class_of.values()), fraction, dataset.get('seed', 0)
    )
    return [files[i] for i in numbers]


def _look(file: str) -> str | None:
    try:
        upright_size(Path(file))
        if is_cut(Path(file)):
            return 'cut short'
    except FileNotFoundError:
        return 'missing'
    except (OSError, ValueError):
        return 'cannot be read'
    return None
