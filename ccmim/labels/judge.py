"""Check the labels of a folder as those of a config are checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ccmim.classification.labels import FolderLabels
from ccmim.labels.class_folders import check_labeled, compare_classes
from ccmim.labels.coco import check_coco
from ccmim.labels.layouts import Classes, Instances, Labeled
from ccmim.labels.photos import same_files
from ccmim.labels.read import LabelError
from ccmim.labels.report import Report
from ccmim.labels.segmentation import check_segmentation
from ccmim.labels.settings import plain_kind

_PLAIN = plain_kind('labels')


def judge(data: Labeled, num_pictures: int = 0) -> list[Report]:
    """Check the labels that were found in a folder.

    Args:
        data: What ``find_labels`` found.
        num_pictures: How many images of each split to prepare for a sheet.

    Returns:
        A report for each split, that of training first.
    """
    reports = []
    for split, part in (('train', data.train), ('test', data.test)):
        if part is None:
            continue
        if isinstance(data, Classes):
            name, check, dataset = part.name, check_labeled, _of_classes(part, data)
        elif isinstance(data, Instances):
            name, check, dataset = part[0].name, check_coco, _of_objects(part, data)
        else:
            name, check, dataset = (
                part[1].name,
                check_segmentation,
                _of_maps(part, data),
            )
        report = Report(f'{split} ({name})')
        _run(check, dataset, report, num_pictures)
        reports.append(report)
    if isinstance(data, Classes):
        compare_classes(reports, None)
    if len(reports) > 1:
        first, second = reports
        pairs = same_files(first.files, second.files)
        second.note('photos that are in train too', [name for _, name in pairs])
    return reports


def require_good(data: Labeled) -> None:
    """Refuse labels that something is wrong with.

    Args:
        data: What ``find_labels`` found.

    Raises:
        LabelError: With the first thing that is wrong.
    """
    for report in judge(data):
        if report.problems:
            raise LabelError(report.error())


def _run(
    check: Callable[..., None], dataset: dict[str, Any], report: Report, count: int
) -> None:
    try:
        check(dataset, _PLAIN, report, count)
    except ValueError as error:
        report.problem(str(error))


def _of_classes(folder: Path, data: Classes) -> dict[str, Any]:
    dataset = dict(data=str(folder))
    if folder != data.train:
        own, known = (FolderLabels(str(f)).classes for f in (folder, data.train))
        # A class without test images is none the less a class.
        dataset['classes'] = known if set(own) <= set(known) else None
    return dataset


def _of_objects(part: tuple[Path, Path], data: Instances) -> dict[str, Any]:
    step = dict(type='LoadAnnotations', with_mask=data.with_masks)
    return dict(
        ann_file=str(part[0]),
        data_prefix=dict(img=str(part[1])),
        metainfo=dict(classes=data.classes),
        pipeline=[step],
    )


def _of_maps(part: tuple[Path, Path], data: Any) -> dict[str, Any]:
    return dict(
        data_prefix=dict(img_path=str(part[0]), seg_map_path=str(part[1])),
        metainfo=dict(classes=data.classes),
        img_suffix=data.suffixes[0],
        seg_map_suffix=data.suffixes[1],
        reduce_zero_label=data.ignore_zero,
    )
