"""Zero-shot classification in ``ccmim transfer``, for checkpoints of FLIP."""

import json
from collections.abc import Mapping
from pathlib import Path

from ccmim.api.zero_shot import knows_words
from ccmim.apps.compare import Score, Stage, content_of
from ccmim.labels.layouts import Classes, Labelled


def name_stages(
    checkpoint: str, tasks: Mapping[str, Labelled], out: Path
) -> dict[str, Stage]:
    """Plan a zero-shot test for each folder of classes.

    Args:
        checkpoint: What was given, a file or a name.
        tasks: Labeled data, by name of the task.
        out: Folder for the figures.

    Returns:
        Stages by name of the data, one where several tasks share them; none if the
        checkpoint is not one of FLIP.
    """
    file, found = Path(checkpoint).expanduser().absolute(), {}
    roots = {data.root: name for name, data in reversed([*tasks.items()])}
    if not knows_words(file):
        return found
    for root, name in roots.items():
        data = tasks[name]
        if isinstance(data, Classes):
            result, folder = (
                out / 'probes' / name / 'names.json',
                data.test or data.train,
            )
            command = ['tools/zero_shot.py', file, '--data', folder, '--out', result]
            depends = f'{content_of(file)} {root}'
            title = f'{name}: classes by their names'
            found[name] = Stage(title, command, result, depends)
    return found


def name_scores(stages: Mapping[str, Stage], arm: str) -> list[Score]:
    """Read the figures of the stages that are done."""
    return [
        Score(
            arm, name, 0, 'zero-shot', json.loads(stage.result.read_text())['zero-shot']
        )
        for name, stage in stages.items()
        if stage.is_done
    ]
