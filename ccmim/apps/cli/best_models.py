"""The best models that ``ccmim transfer`` has trained, and what uses them."""

import shlex
from pathlib import Path

from ccmim.apps.cli.transfer_plan import OURS, Planned
from ccmim.apps.compare import Comparison, Score
from ccmim.files import say

_TRAINED = ('top-1', 'mask AP', 'box AP', 'mIoU')  # by which models are compared


def say_how_to_use(
    plan: Planned, comparison: Comparison | None, scores: list[Score]
) -> None:
    """Name the best file of the checkpoint's, and print the two lines that use it."""
    best = best_models(plan, comparison, scores)
    if not best:
        return
    print('\nBest models trained from the checkpoint:')
    for _, what, file in best.values():
        say(f'  {what}', f'    {_short(file)}')
    # Of the most labels, where there is a curve over their fraction.
    whole = {
        max(parts, key=lambda name: parts[name]) for parts in plan.fractions.values()
    }
    task = next((task for task in best if task in whole), next(iter(best)))
    file = shlex.quote(_short(best[task][2]))
    photos = shlex.quote(_short(plan.data[task].root))
    say(
        'Next:',
        f'  ccmim predict {file} {photos} --out predictions',
        f'  ccmim export {file} --to onnx --whole',
    )


def best_models(
    plan: Planned, comparison: Comparison | None, scores: list[Score]
) -> dict[str, tuple[list[float], str, Path]]:
    """Find the best of each task: its figures, the line that names it, its file.

    Instance segmentation is judged by masks, and by boxes where masks are no better.
    """
    whole = {fold: name for name, folds in plan.folds.items() for fold in folds}
    files = [
        (name, 0, ('linear',), stage.result.with_name('linear.pth'))
        for name, stage in plan.probes.items()
        if stage.is_done
    ]
    for arm, task, seed, file in comparison.trained() if comparison else ():
        if arm == OURS:
            files.append((whole.get(task, task), seed, _TRAINED, file))
    best: dict[str, tuple[list[float], str, Path]] = {}
    for task, seed, metrics, file in files:
        known = {s.metric: s.value for s in scores if s[:3] == (OURS, task, seed)}
        of_file = {m: known[m] for m in metrics if m in known and known[m] == known[m]}
        rank = [round(of_file.get(metric, -1), 1) for metric in metrics]
        if of_file and file.is_file() and (task not in best or rank > best[task][0]):
            run = '' if metrics == ('linear',) else f', seed {seed}'
            what = ', '.join(f'{m} {value:.1f}' for m, value in of_file.items())
            folds = ' over all folds; this is the model of the first'
            what += folds * (task in plan.folds and bool(run))
            best[task] = rank, f'{task}{run}: {what}', file
    return best


def _short(path: Path) -> str:
    return str(path).removeprefix(f'{Path.cwd()}/')
