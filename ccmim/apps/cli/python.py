"""The commands as Python functions, with the same defaults and messages.

``ccmim.pretrain`` and ``ccmim.transfer``; ``ccmim.embed`` is a library's function.
"""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ccmim.apps.cli.parsers import make_parser

StrPath: TypeAlias = str | os.PathLike


class Pretrained(NamedTuple):
    """Where a pretraining has left its results.

    Attributes:
        out: Folder of the run.
        backbone: Weights of the Vision Transformer, for ``get_model`` and ``embed``.
        report: The page.
    """

    out: Path
    backbone: Path
    report: Path


class Transferred(NamedTuple):
    """What weights are worth.

    Attributes:
        out: Folder of the runs.
        scores: By task and metric, then by 'random' and 'checkpoint': the mean over
            the seeds, in per cent.
        report: The page.
    """

    out: Path
    scores: dict[tuple[str, str], dict[str, float]]
    report: Path


def pretrain(
    data: StrPath | Sequence[StrPath],
    method: str | None = None,
    size: str | None = None,
    init: StrPath | None = None,
    lora: int | None = None,
    teacher: StrPath | None = None,
    cache_teacher: int | bool = False,
    image_size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    out: StrPath | None = None,
    resume: bool = False,
    overwrite: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
) -> Pretrained:
    """Pretrain a Vision Transformer on images without labels: ``ccmim pretrain``.

    Args:
        data: A folder, a list of paths (.txt), tars, zips, a pattern, or several.
        method: Name of ``list_methods``; what the command chooses when None, as all
            others.
        size: 'tiny', 'small', 'base' or 'large'.
        init: Weights to begin from.
        lora: Rank of adapters that are trained in their place.
        teacher: Weights to distill.
        cache_teacher: Whether its features are kept, or in how many GB.
        image_size: Side in pixels.
        epochs: Times that each image is seen.
        batch_size: Images a step.
        workers: Processes that load images.
        out: Where all goes.
        resume: Whether to continue the run in ``out`` with its settings.
        overwrite: Whether to begin again in ``out``.
        cfg_options: Any other settings of the config.

    Returns:
        Where the results are.

    Raises:
        ValueError: If something that was asked for cannot be done.
        RuntimeError: If training failed.
    """
    given = dict(locals(), data=None)
    from ccmim.apps.cli import pretrain as command
    from ccmim.apps.cli.starting import settle_method

    args = _parsed('pretrain', [data], given)
    settle_method(args)
    if code := command.run(args):
        raise RuntimeError(f'the training ended with code {code}: see its log')
    folder = (args.out or command.default_out(args.data[0], args.method)).absolute()
    return Pretrained(folder, folder / 'backbone.safetensors', folder / 'report.html')


def transfer(
    weights: StrPath,
    data: StrPath | Sequence[StrPath],
    out: StrPath | None = None,
    fast: bool = False,
    full: bool = False,
    steps: int | None = None,
    seeds: Sequence[int] = (0,),
    fractions: Sequence[float] = (1.0,),
    folds: int | None = None,
    finetune: bool = False,
    heads: Sequence[str] | None = None,
    image_size: int | None = None,
    jobs: int | None = None,
    ignore_zero: bool = False,
    part: str | None = None,
    num_heads: int | None = None,
    img_size: int | None = None,
    dtype: str = 'auto',
) -> Transferred:
    """Measure what weights are worth on labeled data: ``ccmim transfer``.

    Args:
        weights: File, folder, ``timm:NAME`` or ``hf:OWNER/NAME``.
        data: Labeled folders.
        out: Where all goes.
        fast: Whether some steps on some images will do.
        full: Whether to take the recipes of the papers.
        steps: Of fine-tuning.
        seeds: All is done with each.
        fractions: Of the labels.
        folds: In how many parts data without a split are tested.
        finetune: Whether class folders fine-tune a classifier.
        heads: Of masks and maps: 'mask_rcnn', 'upernet', 'eomt'; the usual when None.
        image_size: Side at which features are computed.
        jobs: Runs at a time.
        ignore_zero: Whether 0 in maps is no class.
        part: Of the weights, see ``get_model``.
        num_heads: Likewise.
        img_size: Likewise.
        dtype: In which features are computed: 'float32', 'bfloat16', or 'auto' for bf16
            where the device has instructions for it.

    Returns:
        Where the results are, and the scores.

    Raises:
        ValueError: If something that was asked for cannot be done.
        StageError: If a run failed.
    """
    from ccmim.apps.cli import transfer as command

    given = dict(locals(), command=None, weights=None)
    args = _parsed('transfer', [weights], given)
    folder, listed = command.transfer(args)
    scores: dict[tuple[str, str], dict[str, list[float]]] = {}
    for score in listed:
        of_arm = scores.setdefault((score.task, score.metric), {})
        of_arm.setdefault(score.arm, []).append(score.value)
    means = {
        head: {arm: sum(values) / len(values) for arm, values in of_arm.items()}
        for head, of_arm in scores.items()
    }
    return Transferred(folder, means, folder / 'report.html')


def _parsed(name: str, first: Sequence[Any], given: Mapping[str, Any]) -> Namespace:
    """Read arguments as the command line does, which knows defaults and choices."""
    words = [name, *(word for value in first for word in _words(value))]
    for key, value in given.items():
        if value is None or value is False:
            continue
        words.append(f'--{key.replace("_", "-")}')
        if isinstance(value, Mapping):
            words += [f'{k}={v}' for k, v in value.items()]
        elif value is not True:
            words += _words(value)
    return make_parser().parse_args(words)


def _words(value: Any) -> list[str]:
    if isinstance(value, str | os.PathLike) or not isinstance(value, Sequence):
        return [os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
    return [word for part in value for word in _words(part)]
