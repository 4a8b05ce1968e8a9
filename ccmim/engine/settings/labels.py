"""Check the labels that a config will read."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, DefaultScope

import ccmim.labels
from ccmim.engine.config import import_named
from ccmim.engine.settings import label_heads
from ccmim.engine.settings.label_heads import HEADS, check_heads, check_queries
from ccmim.engine.settings.names import find_types
from ccmim.labels import Report
from ccmim.labels.class_folders import UNIT, check_labeled, compare_classes
from ccmim.labels.coco import check_coco
from ccmim.labels.panoptic import check_panoptic, kinds_of
from ccmim.labels.photos import same_files
from ccmim.labels.segmentation import check_batch, check_segmentation
from ccmim.labels.settings import class_names, plain_kind, resolve_path
from ccmim.labels.unlabeled import check_unlabeled

SPLITS = ('train', 'val', 'test')
# By the name of a class that the data set is derived from, so that neither mmdet nor
# mmseg has to be imported for the other, nor any of them for a data set of that name.
_CHECKS: dict[str, Callable[..., None]] = {
    'CocoPanopticDataset': check_panoptic,
    'CocoDataset': check_coco,
    'BaseSegDataset': check_segmentation,
    'LabeledImages': check_labeled,
    'UnlabeledImages': check_unlabeled,
    'ImagesWithCropBox': check_unlabeled,
}
# Data sets that read annotations by methods of their own are not judged before a run.
_READERS = {*_CHECKS, 'BaseDataset', 'Dataset', 'LVISV1Dataset', 'LVISV05Dataset'}
_OURS = ('LabeledImages', 'UnlabeledImages', 'ImagesWithCropBox')  # which no check asks
_SCOPES = ('', 'ccmim', 'mmdet', 'mmseg')


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
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        reports = _reports(cfg, splits, num_pictures)
    if not reports:
        raise ValueError(f'the config has no data for {", ".join(splits)}')
    return reports


def check_labels(cfg: Config, *stages: str) -> None:
    """Check the labels that a run will read, before its first step.

    What was found is kept in the user's cache, by the names, sizes and times of all
    files: the next start looks at these alone.

    Args:
        cfg: A whole config.
        stages: Whose data to look at: 'train', 'val', 'test'.

    Raises:
        ValueError: If something is wrong, in one line.
    """
    from ccmim.engine.settings.processes import on_main  # imports torch

    on_main(lambda: _check(cfg, stages))


def _check(cfg: Config, stages: Sequence[str]) -> None:
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        parts = [p for p in _parts_of(cfg, stages) if _is_judged(p[1], p[2])]
        if not parts:
            return
        kept = _cache(cfg, stages, [dataset for _, dataset, *_ in parts])
        if kept.is_file():
            checked = json.loads(kept.read_text())
        else:
            reports = _reports(cfg, stages, 0, judged=True)
            checked = dict(
                errors=[report.error() for report in reports if report.problems],
                notes=[(r.title, note) for r in reports for note in r.notes],
            )
            _keep(kept, checked)
    if checked['errors']:
        raise ValueError(checked['errors'][0])
    for title, note in checked['notes']:
        print_log(f'{title}: {note}', logger='current')


def _reports(
    cfg: Config, splits: Sequence[str], num_pictures: int, judged: bool = False
) -> list[Report]:
    reports, seen = [], []
    for split, dataset, kind, check in _parts_of(cfg, splits, strict=not judged):
        files = {k: v for k, v in dataset.items() if k != 'pipeline'}
        if files in seen or (judged and not _is_judged(dataset, kind)):
            continue
        seen.append(files)
        name = dataset.get('ann_file')
        report = Report(f'{split} ({kind.__name__}{f", {name}" if name else ""})')
        evaluator = cfg.get(f'{split}_evaluator')
        with_labels = not _writes_only(evaluator)
        check(dataset, kind, report, num_pictures, with_labels)
        if check is check_coco and with_labels:
            _check_evaluator(evaluator, split, dataset, report)
        if check in (check_coco, check_segmentation):
            classes = class_names(dataset, kind)
            check_heads(cfg.get('model'), len(classes), 'model', report)
        if check in (check_coco, check_panoptic):
            parts = (class_names(dataset, kind), ())
            parts = kinds_of(dataset, kind) if check is check_panoptic else parts
            check_queries(cfg.get('model') or {}, *map(len, parts), report)
        if check is check_segmentation:
            loader = cfg[f'{split}_dataloader']
            preprocessor = (cfg.get('model') or {}).get('data_preprocessor') or {}
            check_batch(dataset, preprocessor, loader.get('batch_size', 1), report)
        reports.append(report)
    head = (cfg.get('model') or {}).get('head') or {}
    labeled = [report for report in reports if report.unit == UNIT]
    compare_classes(labeled, head.get('num_classes'))
    for report in reports[1:]:
        first = reports[0]
        if first.title.startswith('train') and not report.title.startswith('train'):
            pairs = same_files(first.files, report.files)
            report.note('photos that are in train too', [b for _, b in pairs])
    return reports


def _parts_of(cfg: Config, splits: Sequence[str], strict: bool = False) -> Iterator:
    for split in splits:
        loader = cfg.get(f'{split}_dataloader') or {}
        for part in _parts(loader.get('dataset'), cfg, strict):
            yield split, *part


def _parts(
    node: Any, cfg: Config, strict: bool
) -> Iterator[tuple[Mapping[str, Any], type, Callable[..., None]]]:
    """Find the data sets inside wrappers, and what checks them."""
    if isinstance(node, list | tuple):
        for part in node:
            yield from _parts(part, cfg, strict)
    elif isinstance(node, Mapping):
        inner = node.get('dataset') or node.get('datasets')
        if inner:
            yield from _parts(inner, cfg, strict)
            return
        for kind in _kinds(node, cfg):
            for base in getattr(kind, '__mro__', ()):
                if base.__name__ in _CHECKS:
                    yield node, kind, _CHECKS[base.__name__]
                    return
        if strict:
            raise ValueError(
                f'{node.get("type")} cannot be checked: known are data sets derived '
                f'from {", ".join(_CHECKS)}'
            )


def _kinds(node: Mapping[str, Any], cfg: Config) -> list[Any]:
    """Find the class of a data set; a stand-in where its name says enough.

    The real one takes seconds: mmdet and mmseg are imported as a whole.
    """
    scope, _, name = str(node.get('type')).rpartition('.')
    has_classes = bool((node.get('metainfo') or {}).get('classes'))
    if scope in _SCOPES and name in _CHECKS and (has_classes or name in _OURS):
        return [plain_kind(name)]
    import_named(cfg)
    return find_types(node.get('type'), [DATASETS])


def _is_judged(dataset: Mapping[str, Any], kind: type) -> bool:
    """Return whether problems in a data set of this class keep a run from starting.

    Damaged images of pretraining are replaced while it runs; files behind an address
    are read by mmengine.
    """
    paths = [dataset.get('data_root'), dataset.get('ann_file')]
    if any('://' in str(path) for path in paths):
        return False
    bases = {base.__name__ for base in kind.__mro__}
    if bases & {'UnlabeledImages', 'ImagesWithCropBox'}:
        return False
    methods = (getattr(kind, n, None) for n in ('load_data_list', 'parse_data_info'))
    names = [getattr(method, '__qualname__', '') for method in methods if method]
    return {name.partition('.')[0] for name in names} <= _READERS


def _writes_only(evaluator: Any) -> bool:
    """Return whether predictions are only written: labels are not needed then."""
    parts = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    return any(isinstance(p, Mapping) and p.get('format_only') for p in parts)


def _check_evaluator(
    evaluator: Any, split: str, dataset: Mapping[str, Any], report: Report
) -> None:
    parts = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    for part in parts:
        file = part.get('ann_file') if isinstance(part, Mapping) else None
        own = resolve_path(dataset, dataset.get('ann_file') or '')
        if file and os.path.abspath(file) != os.path.abspath(own):
            report.problem(
                f'{split}_evaluator.ann_file={file} is another file than the one of '
                f'{split}_dataloader: set it to {own}'
            )


def _cache(cfg: Config, stages: Sequence[str], datasets: Sequence[Any]) -> Path:
    """Return the cache file of the result for these settings and files."""
    key = blake2b(digest_size=16)
    heads = [
        repr((cfg.get('model') or {}).get(k))
        for k in ('head', 'roi_head', 'panoptic_head', *HEADS)
    ]
    loaders = [
        cfg.get(f'{stage}_{k}') for stage in stages for k in ('dataloader', 'evaluator')
    ]
    key.update(repr((stages, heads, loaders)).encode(errors='replace'))
    for file in sorted(Path(ccmim.labels.__file__).parent.glob('*.py')):
        key.update(file.read_bytes())
    for file in (__file__, label_heads.__file__):
        key.update(Path(file).read_bytes())
    for dataset in datasets:
        paths = [dataset.get('data'), dataset.get('ann_file'), dataset.get('names')]
        paths += (dataset.get('data_prefix') or {}).values()
        for path in paths:
            if isinstance(path, str):
                _add_files(key, resolve_path(dataset, path))
    root = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return root / 'ccmim' / 'labels' / f'{key.hexdigest()}.json'


def _add_files(key: Any, path: Path) -> None:
    files = [path]
    for folder, folders, names in os.walk(path, followlinks=True):
        folders.sort()
        files += [Path(folder, name) for name in sorted(names)]
    for file in files:
        try:
            status = os.stat(file)
            entry = f'{file}\t{status.st_size}\t{status.st_mtime_ns}\n'
        except OSError as error:
            entry = f'{file}\t{error.errno}\n'
        key.update(os.fsencode(entry))


def _keep(file: Path, report: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f'.{os.getpid()}')
        part.write_text(json.dumps(report))
        part.replace(file)
    except OSError:
        pass  # looked at again the next time
