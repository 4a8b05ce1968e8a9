"""Find the data sets of a config, and check each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.apps.dataset_check.coco import check_coco
from ccmim.apps.dataset_check.labelled import UNIT, check_labelled, compare_classes
from ccmim.apps.dataset_check.report import Report
from ccmim.apps.dataset_check.segmentation import check_segmentation
from ccmim.apps.dataset_check.unlabelled import check_unlabelled
from ccmim.engine.settings.names import find_types

SPLITS = ('train', 'val', 'test')
# By the name of a class that the data set is derived from, so that neither mmdet nor
# mmseg has to be imported for the other.
_CHECKS: dict[str, Callable[..., None]] = {
    'CocoDataset': check_coco,
    'BaseSegDataset': check_segmentation,
    'LabelledImages': check_labelled,
    'UnlabelledImages': check_unlabelled,
    'PlacedImages': check_unlabelled,
}


def check_config(
    cfg: Config, splits: Sequence[str] = SPLITS, num_pictures: int = 12
) -> list[Report]:
    """Check the data that a config will read.

    Args:
        cfg: A whole config.
        splits: Which of 'train', 'val' and 'test' to look at; one that reads the same
            files as an earlier one is left out.
        num_pictures: How many images of each data set to prepare for a sheet.

    Returns:
        A report for each data set; wrappers such as ConcatDataset hold several.

    Raises:
        ValueError: If the config has no data for the splits, or of an unknown kind.
    """
    reports, seen = [], []
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        for split in splits:
            loader = cfg.get(f'{split}_dataloader') or {}
            for dataset, kind, check in _parts(loader.get('dataset')):
                files = {k: v for k, v in dataset.items() if k != 'pipeline'}
                if files in seen:
                    continue
                seen.append(files)
                file = f', {name}' if (name := dataset.get('ann_file')) else ''
                report = Report(f'{split} ({kind.__name__}{file})')
                check(dataset, kind, report, num_pictures)
                reports.append(report)
    head = (cfg.get('model') or {}).get('head') or {}
    labelled = [report for report in reports if report.unit == UNIT]
    compare_classes(labelled, head.get('num_classes'))
    if not reports:
        raise ValueError(f'the config has no data for {", ".join(splits)}')
    return reports


def _parts(node: Any) -> Iterator[tuple[Mapping[str, Any], type, Callable[..., None]]]:
    """Find the data sets inside wrappers, and what checks them."""
    if isinstance(node, list | tuple):
        for part in node:
            yield from _parts(part)
    elif isinstance(node, Mapping):
        inner = node.get('dataset') or node.get('datasets')
        if inner:
            yield from _parts(inner)
            return
        for kind in find_types(node.get('type')):
            for base in getattr(kind, '__mro__', ()):
                if base.__name__ in _CHECKS:
                    yield node, kind, _CHECKS[base.__name__]
                    return
        raise ValueError(
            f'{node.get("type")} cannot be checked: known are data sets derived from '
            f'{", ".join(_CHECKS)}'
        )
