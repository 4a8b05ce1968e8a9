"""``ccmim pretrain``: survey the photos, choose settings, estimate, train, export."""

import os
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.advice import advice
from ccmim.apps.cli.choose import Machine, choose, this_machine
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
from ccmim.apps.cli.pretrain_report import (
    finish,
    print_settings,
    relative,
    shell_command,
)
from ccmim.apps.cli.quiet import no_messages, short_messages
from ccmim.apps.cli.recipe import fit_queues, make_recipe
from ccmim.apps.cli.starting import (
    TAUGHT,
    absolute_weights,
    keep_features,
    learn_from,
    nearest_size,
    settle_method,
    start_from,
)
from ccmim.apps.cli.survey import Survey, look
from ccmim.apps.cli.tools import run_tool
from ccmim.checkpoints import Weights, read_weights
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

_LEFT_OUT = 'left_out.txt'
_FEATURES = 'teacher_features'
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
    settle_method(args)
    out = (args.out or default_out(args.data[0], args.method)).absolute()
    config, words = out / RECIPE, ['--work-dir', out]
    resumed = is_resumed(args, out)
    if resumed:
        say(f'Resuming the run in {relative(out)}')
        words += ['--resume']
        if args.resume and args.cfg_options:
            words += ['--cfg-options', *args.cfg_options]
    else:
        cfg, bad = _prepare(args, out)
        words += ['--overwrite'] if args.overwrite else []
    if args.dry_run:
        where = f'The settings are in {relative(config)}'
        if not resumed and files_of_a_run(out):
            where = f'The run in {relative(out)} is unchanged'
        elif not resumed:
            _write(out, cfg, bad)
        say('', f'Nothing was trained (--dry-run). {where}')
        return 0
    by_hand = shell_command('python', home() / 'tools/train.py', config, *words)
    say(f'By hand      {by_hand}', '')
    if resumed:
        extend(args, out)
        _find_what_moved(config)
    else:
        _write(out, cfg, bad)
    with short_messages():
        code = run_tool('train', [config, *words, *['--debug'] * args.debug])
    last = out / f'epoch_{Config.fromfile(config).train_cfg.max_epochs}.pth'
    if code or not last.exists():
        if files_of_a_run(out):
            print('To resume, run the same ccmim command again.')
        return code
    finish(out, last)
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
    lines = advice(args.method, survey.num_good, bool(args.init), has_anchor)
    say(*lines)
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
    cfg = make_recipe(settings, data, out / _LEFT_OUT if bad else None, bool(weights))
    fit_queues(cfg, survey.num_good)
    if weights:
        file = absolute_weights(args.init)
        start_from(cfg, weights.architecture, file, args.lora, weights.pixels)
        if cfg.model.get('anchor'):
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
    print_settings(cfg, settings, machine, cost, survey)
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


def _find_what_moved(config: Path) -> None:
    """Name in a recipe what lies beside it: the folder may have been moved."""
    cfg = Config.fromfile(config)
    dataset, teacher = cfg.train_dataloader.dataset, cfg.model.get('teacher') or {}
    moved = (dataset, 'exclude', _LEFT_OUT), (teacher, 'folder', _FEATURES)
    before = cfg.pretty_text
    for part, key, name in moved:
        here = config.with_name(name)
        if here.exists() and Path(part.get(key) or '').name == name:
            part[key] = str(here)
    if cfg.pretty_text != before:
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
        check = shell_command('ccmim check', *data)
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
