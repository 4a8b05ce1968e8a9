"""``ccmim leaf``: the config that ``ccmim transfer`` would use, ready to edit."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ccmim.apps.cli.dense_tasks import heads_of
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.probing import weights_from_args
from ccmim.apps.cli.quiet import no_messages
from ccmim.apps.cli.starting import absolute_weights
from ccmim.apps.cli.tasks import Tasks
from ccmim.engine.config import read_config
from ccmim.files import say
from ccmim.labels.judge import require_good
from ccmim.labels.layouts import Classes, describe, find_labels

_WIDTH = 87  # of a line, with the comma behind it
_SAME = ('test_dataloader', 'test_evaluator')  # as those of validation


def run(args: Namespace) -> int:
    """Print the config; what is said of it goes to stderr."""
    with redirect_stdout(sys.stderr):
        weights = weights_from_args(args.backbone, args)
    data = find_labels(args.data.expanduser(), args.ignore_zero)
    if isinstance(data, Classes) and args.full:
        raise Mistake(
            'class folders are for k-NN and a linear probe, which have no --full',
            'leave it out; mm_configs/classification has the recipes of fine-tuning',
        )
    require_good(data)
    name = data.root.name
    lists = (args.lists or Path('work_dirs') / f'{name}_split').absolute()
    tasks = Tasks(
        weights.architecture,
        lists,
        full=args.full,
        steps=args.steps,
        image_size=args.image_size,
        pixels=weights.pixels,
    )
    (tasks.head,) = heads = heads_of(data, [args.head] if args.head else None)
    cfg = tasks.config(data, name)
    checkpoint = absolute_weights(args.backbone)
    if not isinstance(data, Classes):
        start = cfg.model.backbone.get('init_cfg') or {}
        options = {k: v for k in ('part', 'img_size') if (v := getattr(args, k))}
        init = dict(type='Pretrained', checkpoint=checkpoint, **options)
        cfg.model.backbone.init_cfg = {**start, **init}
    lines = [f'{name}: {describe(data, heads)}', *tasks.notes]
    say(*lines, file=sys.stderr)
    what = describe(data, heads).partition(', no split')[0]
    by_hand = 'python tools/train.py THIS_FILE'
    if isinstance(data, Classes):
        by_hand = f'python tools/knn.py {shlex.quote(checkpoint)} --config THIS_FILE'
    header = f'"""{name}: {what}.\n\n    {by_hand}\n"""\n\n'
    print(header + leaf_text(tasks.base, cfg), end='')
    return 0


def leaf_text(base: str, cfg: Config) -> str:
    """Write a config as what differs from one of mm_configs.

    Args:
        base: Path of the config that it was made from.
        cfg: What it became.

    Returns:
        Lines that give the same config when they are read.
    """
    with no_messages():
        old = read_config(base, imports=False)._cfg_dict.to_dict()
    new = cfg._cfg_dict.to_dict()
    for made in (old, new):
        made.pop('work_dir', None)
    changes = _changes(old, new)
    same = [
        f'{key} = {other}\n'
        for key in _SAME
        if key in changes
        and old.get(key) == old.get(other := key.replace('test', 'val'))
        and new[key] == new.get(other)
        and changes.pop(key)
    ]
    shared = _merge_metainfo(changes)
    lines = [
        f'{key} = {_shown(value, len(key) + 3)}\n'
        for key, value in {**shared, **changes}.items()
    ]
    return f'_base_ = {base!r}\n{"".join(lines + same)}'


class _Name(str):
    """A variable of the config."""

    def __repr__(self) -> str:
        return str(self)


def _merge_metainfo(changes: dict[str, Any]) -> dict[str, Any]:
    """Let both loaders name one ``metainfo``, where theirs are the same."""
    sets = [changes.get(f'{s}_dataloader', {}).get('dataset') for s in ('train', 'val')]
    metainfos = [dataset and dataset.get('metainfo') for dataset in sets]
    if not metainfos[0] or metainfos[0] != metainfos[1]:
        return {}
    for dataset in sets:
        dataset['metainfo'] = _Name('metainfo')
    return dict(metainfo=metainfos[0])


def _shown(value: Any, column: int, indent: int = 0) -> str:
    """Write a value as a person would: on one line if it fits.

    Args:
        value: Of plain types.
        column: Where it begins on its line.
        indent: Of the line.
    """
    named = isinstance(value, dict) and all(
        isinstance(key, str) and key.isidentifier() for key in value
    )
    if named:
        keys = sorted(value, key=lambda key: key != 'type')  # which comes first
        start, end, parts = 'dict(', ')', [(f'{key}=', value[key]) for key in keys]
    elif isinstance(value, list | tuple):
        start, end = '[]' if isinstance(value, list) else '()'
        parts = [('', part) for part in value]
        end = f',{end}' if isinstance(value, tuple) and len(value) == 1 else end
    else:
        return repr(value)
    inside = indent + 4
    texts = [name + _shown(part, inside + len(name), inside) for name, part in parts]
    line = f'{start}{", ".join(texts)}{end}'
    if column + len(line) <= _WIDTH and '\n' not in line:
        return line
    pad = '\n' + ' ' * inside
    return f'{start}{pad}{f",{pad}".join(texts)},\n{" " * indent}{end.lstrip(",")}'


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Find the keys that are new or have another value, as mmengine merges them."""
    changes: dict[str, Any] = {}
    for key, value in new.items():
        if key in old and old[key] == value:
            continue
        before = old.get(key)
        if not isinstance(value, Mapping) or key not in old:
            changes[key] = value
        elif not isinstance(before, Mapping):
            changes[key] = dict(_delete_=True, **value)
        elif before.keys() <= value.keys():
            changes[key] = _changes(before, value)
        else:  # a key is gone
            changes[key] = dict(_delete_=True, **value)
    return changes
