"""Tests by words in ``ccmim transfer``, for checkpoints of FLIP."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ccmim.api.zero_shot import knows_words
from ccmim.apps.compare import Score, Stage, content_of
from ccmim.labels.coco_file import kind_of
from ccmim.labels.layouts import Classes, Labeled
from ccmim.labels.map_folders import TEST
from ccmim.labels.read import LabelError, read_json
from ccmim.text.captions import find_columns, read_captions

_TABLES, _FEW, _LOOKED_AT = ('.csv', '.tsv', '.txt'), 10, 50


class Captions(NamedTuple):
    """Folder of photos, what is said of them, and which ``part`` is tested."""

    images: Path
    file: Path
    part: str


def find_captions(root: Path) -> Captions | None:
    """Find a file of captions in a folder or in ``annotations`` below it.

    One that is named after a test set is taken first, and whole; of another one every
    tenth photo is tested, which ``CaptionedImages(part='train')`` leaves out.
    """
    files = sorted([*root.glob('*'), *root.glob('annotations/*')])
    captioned = [file for file in files if file.is_file() and _has_captions(file)]
    if not captioned:
        return None
    tests = [file for file in captioned if any(word in file.stem for word in TEST)]
    file = (tests or captioned)[0]
    names = list(read_captions(file))
    folders = [p for p in sorted(root.iterdir()) if p.is_dir() and p.name[0] != '.']

    def hits(folder: Path) -> int:
        return sum((folder / name).is_file() for name in names[:_LOOKED_AT])

    images = max((root, *folders), key=hits)
    return Captions(images, file, 'all' if tests or len(names) < _FEW else 'test')


def describe_captions(data: Captions) -> str:
    """Describe captions and what is done with them in a line."""
    split = '' if data.part == 'all' else ', on every tenth photo'
    return f'captions in {data.file.name}: retrieval{split}'


def name_stages(
    checkpoint: str,
    tasks: Mapping[str, Labeled],
    captions: Mapping[str, Captions],
    out: Path,
) -> dict[str, Stage]:
    """Plan a zero-shot test for each folder of classes, and retrieval by captions.

    Args:
        checkpoint: What was given, a file or a name.
        tasks: Labeled data, by name of the task.
        captions: By name of the task.
        out: Folder for the figures.

    Returns:
        Stages by name of the data, one where several tasks share them; none if the
        checkpoint is not one of FLIP.
    """
    file, stages = Path(checkpoint).expanduser().absolute(), {}
    if not knows_words(file):
        return stages
    content = content_of(file)

    def stage(name: str, title: str, depends: str, *words: str | Path) -> Stage:
        result = out / 'probes' / name / 'names.json'
        command = ['tools/zero_shot.py', file, '--data', *words, '--out', result]
        return Stage(f'{name}: {title}', command, result, f'{content} {depends}')

    roots = {data.root: name for name, data in reversed([*tasks.items()])}
    for root, name in roots.items():
        data = tasks[name]
        if isinstance(data, Classes):
            folder = data.test or data.train
            stages[name] = stage(name, 'classes by their names', str(root), folder)
    for name, data in captions.items():
        words = data.images, '--captions', data.file, '--part', data.part
        depends = ' '.join(map(str, (*words, content_of(data.file))))
        stages[name] = stage(name, 'photos and captions', depends, *words)
    return stages


def name_scores(stages: Mapping[str, Stage], arm: str, guess: str) -> list[Score]:
    """Read the figures of the stages that are done.

    Args:
        stages: By name of the data.
        arm: Of which they are.
        guess: The arm that is said to have what guessing finds.
    """
    scores = []
    for name, stage in stages.items():
        values = json.loads(stage.result.read_text()) if stage.is_done else {}
        for metric, value in values.items():
            is_chance = metric.startswith('chance')
            metric = metric.removeprefix('chance').strip() or 'zero-shot'
            scores.append(Score(guess if is_chance else arm, name, 0, metric, value))
    return scores


def _has_captions(file: Path) -> bool:
    if file.suffix in _TABLES:
        with file.open(encoding='utf-8-sig', errors='replace') as lines:
            return find_columns(lines.readline()) is not None
    try:
        return file.suffix == '.json' and kind_of(read_json(file)[0]) == 'captions'
    except LabelError:
        return False
