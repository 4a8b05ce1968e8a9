"""``ccmim pretrain``: survey the photos, choose settings, estimate, train, export."""

import os
import re
import shlex
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.advice import advice
from ccmim.apps.cli.choose import Machine, Settings, choose, this_machine
from ccmim.apps.cli.estimate import Estimate, measure
from ccmim.apps.cli.existing_run import (
    CHOSEN,
    RECIPE,
    absolute,
    asked,
    extend,
    is_resumed,
)
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.parsers import Parser
from ccmim.apps.cli.quiet import no_messages, short_messages
from ccmim.apps.cli.recipe import make_recipe
from ccmim.apps.cli.starting import (
    TAUGHT,
    absolute_weights,
    keep_features,
    learn_from,
    nearest_size,
    start_from,
)
from ccmim.apps.cli.survey import Survey, look
from ccmim.apps.cli.tools import run_tool
from ccmim.apps.report.html import write_report
from ccmim.checkpoints import Weights, read_weights, write_weights
from ccmim.data.bad_files import write_bad_files
from ccmim.engine.launch import scale_learning_rate
from ccmim.engine.settings import (
    check_arguments,
    check_captions,
    check_options,
    check_updates,
    fit_sizes,
    paths_as_texts,
)
from ccmim.engine.settings.option_action import OptionAction
from ccmim.engine.settings.work_dir import files_of_a_run
from ccmim.engine.signals.run_lock import RunLock
from ccmim.files import say, write_file
from ccmim.progress import duration

_LEFT_OUT = 'left_out.txt'
_FEATURES = 'teacher_features'
_MEMORY = {'cuda': 'GPU memory', 'cpu': 'memory'}
_TAKES = 'give a folder of photos, a list of paths (.txt), tars (.tar) or zips'
# What options of the command stand for.
_KEYS = dict(
    epochs='train_cfg.max_epochs',
    batch_size='train_dataloader.batch_size',
    workers='train_dataloader.num_workers',
    image_size='model.backbone.img_size',
    size='model.backbone.arch',
)
_ANCHORED = (
    'Anchor       preserves similarities between patches, at the cost of a second\n'
    '             pass; --cfg-options model.anchor=None turns it off'
)
_CACHED = (
    'Teacher      its features are kept in teacher_features, up to {:g} GB: photos\n'
    '             are seen whole or mirrored, not cropped; the estimate is without it'
)
_BAD_RATIO = 0.01  # of which a run would stop


def run(args: Namespace) -> int:
    """Pretrain; the exit code of the training."""
    out = (args.out or default_out(args.data[0], args.method)).absolute()
    config, words = out / RECIPE, ['--work-dir', out]
    resumed = is_resumed(args, out)
    if resumed:
        say(f'Resuming the run in {_short(out)}')
        words += ['--resume']
        if args.resume and args.cfg_options:
            words += ['--cfg-options', *args.cfg_options]
    else:
        cfg, bad = _prepare(args, out)
        words += ['--overwrite'] if args.overwrite else []
    if args.dry_run:
        said = f'The settings are in {_short(config)}'
        if not resumed and files_of_a_run(out):
            said = f'The run in {_short(out)} is unchanged'
        elif not resumed:
            _write(out, cfg, bad)
        say('', f'Nothing was trained (--dry-run). {said}')
        return 0
    say(
        f'By hand      {_shell("python", home() / "tools/train.py", config, *words)}',
        '',
    )
    if resumed:
        extend(args, out)
        _find_list(config)
    else:
        _write(out, cfg, bad)
    with short_messages():
        code = run_tool('train', [config, *words, *['--debug'] * args.debug])
    last = out / f'epoch_{Config.fromfile(config).train_cfg.max_epochs}.pth'
    if code or not last.exists():
        if files_of_a_run(out):
            print('To resume, run the same ccmim command again.')
        return code
    _finish(out, last)
    return 0


def default_out(data: str, method: str) -> Path:
    """Name the folder of a run after its first images.

    Args:
        data: A folder, file or pattern.
        method: Name of the method.
    """
    stem = Path(re.sub(r'[*?\[\]]', '', data)).expanduser().absolute()
    name = stem.stem if stem.is_file() else stem.name
    return Path('work_dirs') / f'{re.sub(r"[^A-Za-z0-9._-]+", "_", name)}_{method}'


def _prepare(args: Namespace, out: Path) -> tuple[Config, dict[str, str]]:
    """Announce the run; return its config and the images that it leaves out."""
    _check_words(args)
    data = [absolute(item) for item in args.data]
    say(f'Looking at   {", ".join(args.data)}')
    survey = _look(data)
    say(*survey.lines())
    if not any('dataset.exclude=' in word for word in args.cfg_options):
        _refuse_damage(survey, args.data)
    machine = this_machine()
    has_anchor = 'model.anchor=None' not in args.cfg_options
    said = advice(args.method, survey.num_good, bool(args.init), has_anchor)
    say(*said)
    given = {name: getattr(args, name) for name in CHOSEN}
    weights = _read(args, given)
    patch = weights and weights.architecture.patch_size
    settings = choose(
        survey.num_good,
        survey.median_side,
        machine,
        args.method,
        **given,
        patch_size=patch,
    )
    bad = survey.bad if survey.looked_at_all else {}
    cfg = make_recipe(settings, data, out / _LEFT_OUT if bad else None)
    if weights:
        place = absolute_weights(args.init)
        start_from(cfg, weights.architecture, place, args.lora)
        print(_ANCHORED, flush=True)
    if args.teacher:
        learn_from(cfg, absolute_weights(args.teacher), bool(args.cache_teacher))
    _change(cfg, args.cfg_options)
    if cfg.auto_scale_lr.enable:  # to the batch that the options make
        scale_learning_rate(cfg)
    _make_folder(out)
    cost = _measure(cfg, machine)
    if args.cache_teacher:
        keep_features(cfg, out / _FEATURES, args.cache_teacher)
        print(_CACHED.format(args.cache_teacher), flush=True)
    _say(cfg, settings, machine, cost, survey)
    cfg.asked = asked(args)
    return cfg, bad


def _check_words(args: Namespace) -> None:
    """Check the options that need no look at the photos."""
    teaches = args.teacher or any('model.teacher' in word for word in args.cfg_options)
    if (args.method in TAUGHT) != bool(teaches):
        method = args.method if args.method in TAUGHT else TAUGHT[0]
        raise Mistake(
            f'--method {method} and --teacher go together',
            'give both, such as --teacher timm:vit_small_patch14_dinov2.lvd142m',
        )
    if args.cache_teacher and not args.teacher:
        raise Mistake('--cache-teacher needs a teacher', 'give --teacher WEIGHTS')
    if args.lora and not args.init:
        raise Mistake('--lora adapts weights', 'give them with --init WEIGHTS')
    for name, key in _KEYS.items():
        if getattr(args, name) and any(
            w.startswith(f'{key}=') for w in args.cfg_options
        ):
            option = f'--{name.replace("_", "-")}'
            raise Mistake(f'{option} and {key} say the same', 'leave out one of them')
    if args.init and args.size:
        raise Mistake('--init and --size contradict each other', 'leave out --size')


def _read(args: Namespace, given: dict[str, Any]) -> Weights | None:
    """Read the weights to begin from; the size in ``given`` becomes theirs."""
    if not args.init:
        return None
    weights = read_weights(args.init)
    say(*weights.report)
    given['size'] = nearest_size(weights.architecture.embed_dim)
    return weights


def _write(out: Path, cfg: Config, bad: Mapping[str, str]) -> None:
    """Write what a run starts from, unless another one uses the folder."""
    lock = RunLock(out)
    lock.take()
    try:
        if bad:
            write_bad_files(out / _LEFT_OUT, bad)
        write_file(out / RECIPE, cfg.pretty_text)
    finally:
        lock.release()


def _find_list(config: Path) -> None:
    """Name the list beside a recipe in it: the folder may have been moved."""
    cfg, here = Config.fromfile(config), config.with_name(_LEFT_OUT)
    dataset = cfg.train_dataloader.dataset
    if here.is_file() and Path(dataset.get('exclude') or '').name == _LEFT_OUT:
        dataset.exclude = str(here)
        write_file(config, cfg.pretty_text)


def _look(data: list[str]) -> Survey:
    try:
        survey = look(data)
    except (ValueError, OSError) as error:
        raise Mistake(str(error), _TAKES) from error
    if survey.num_good < 2:
        raise Mistake(
            f'{survey.num_good} of {survey.total:,} images can be used',
            f'hundreds are wanted, thousands are better; {_TAKES}',
        )
    return survey


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        os.utime(out)
    except OSError as error:
        raise Mistake(
            f'cannot write to {out}: {error.strerror}', 'give another folder with --out'
        ) from error


def _refuse_damage(survey: Survey, data: list[str]) -> None:
    ratio = len(survey.bad) / max(1, len(survey.checked))
    if ratio > _BAD_RATIO and not survey.looked_at_all:
        check = _shell('ccmim check', *data)
        raise Mistake(
            f'{ratio:.0%} of the images that were looked at are damaged',
            f'{check} --out bad.txt; then give ccmim pretrain --cfg-options '
            'train_dataloader.dataset.exclude=bad.txt',
        )


def _change(cfg: Config, words: list[str]) -> None:
    parser = Parser('ccmim pretrain', add_help=False)
    parser.add_argument(
        'options', nargs='*', action=OptionAction, metavar='--cfg-options'
    )
    options = paths_as_texts(parser.parse_args(words).options or {})
    check_options(cfg, options)
    cfg.merge_from_dict(options)
    for check in (fit_sizes, check_arguments, check_updates, check_captions):
        check(cfg)


def _measure(cfg: Config, machine: Machine) -> Estimate:
    """Time some steps, with half the batch where the GPU is too small for it."""
    print('Measuring    a few steps for the estimate', flush=True)
    while True:
        try:
            with no_messages():
                return measure(cfg, machine)
        except torch.cuda.OutOfMemoryError:
            if (batch := cfg.train_dataloader.batch_size) < 4:
                raise
        torch.cuda.empty_cache()
        print(f'Batch        {batch} does not fit the GPU, taking {batch // 2}')
        cfg.train_dataloader.batch_size = batch // 2


def _say(
    cfg: Config, settings: Settings, machine: Machine, cost: Estimate, survey: Survey
) -> None:
    batch, epochs = cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs
    steps = epochs * (survey.num_good // batch)
    seconds = cost.seconds(steps, batch, machine, settings.workers)
    letter = settings.size[0].upper() if settings.size != 'tiny' else 'Ti'
    vit = f'ViT-{letter}/{settings.patch_size} at {settings.image_size} px'
    lines = [
        f'Machine      {machine.name}, {machine.gigabytes:.0f} GB memory, '
        f'{machine.cores} cores',
        f'Settings     {settings.method}, {vit}, batch {batch}, {settings.workers} '
        f'loader process{"es" * (settings.workers > 1)}',
        f'             {epochs} epochs = {steps:,} steps',
        f'Estimate     about {duration(seconds)}: {cost.step:.2g} s per step, '
        f'{1000 * cost.image:.0f} ms to load an image',
        f'             {_memory(cost, machine)}'
        f'{4 * cost.checkpoint / 1e9:.2g} GB of disk space',
        f'             timed over {_over(cost.steps)}; slower if other programs run',
    ]
    say(*lines)


def _memory(cost: Estimate, machine: Machine) -> str:
    if not cost.steps:  # a few images hold less than a batch
        return ''
    return f'{cost.gigabytes:.1f} GB of {_MEMORY[machine.device]}, '


def _over(steps: int) -> str:
    return f'{steps} steps' if steps else 'a few images, as a step is slow here'


def _finish(out: Path, checkpoint: Path) -> None:
    backbone = out / 'backbone.safetensors'
    write_weights(read_weights(checkpoint), backbone, 'safetensors', overwrite=True)
    page = out / 'report.html'
    write_report(page, out.name, runs=[out])
    say(
        '',
        'Done.',
        f'  checkpoint   {_short(checkpoint)}',
        f'  backbone     {_short(backbone)}',
        f'  report       {_short(page)}',
        '',
        'Next:',
        f'  {_shell("ccmim transfer", checkpoint, "--data")} LABELED_FOLDER',
        f'  {_shell("ccmim export", checkpoint, "--to")} timm',
        f'  in Python: ccmim.get_model({_short(backbone)!r})',
    )


def _shell(start: str, *words: object) -> str:
    return f'{start} {shlex.join(map(_short, words))}'


def _short(word: object) -> str:
    return str(word).removeprefix(f'{Path.cwd()}/')
