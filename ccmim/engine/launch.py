"""From a config file to a Runner, adapted to the machine."""

import copy
import logging
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ccmim.checkpoints import choose_resume, guard_mmengine, write_atomically
from ccmim.data import seed_samples
from ccmim.engine.compile import compile_blocks
from ccmim.engine.config import drop_absent_workers
from ccmim.engine.connect import connect
from ccmim.engine.fully_shard import FullyShard
from ccmim.engine.hooks.default import add_guarantees, drop_switched_off
from ccmim.engine.hooks.load_from import LoadFromHook
from ccmim.engine.memory import keep_freed_memory
from ccmim.engine.optim.schedule import fit_to_loop
from ccmim.engine.settings import (
    check_arguments,
    check_batches,
    check_captions,
    check_groups,
    check_recurrence,
    check_updates,
    fit_sizes,
)
from ccmim.engine.settings.names import unknown_type
from ccmim.engine.settings.space import stop_at_full_disk
from ccmim.engine.sharded_state import adapt_checkpoints
from ccmim.engine.summary import SummaryHook
from ccmim.engine.version import record_version


def start_processes(cfg: Config, launcher: str) -> None:
    """Connect the processes of a launcher, and fit the config to them.

    Args:
        cfg: The config; changed in place.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: If the launcher cannot work on this machine.
        PeerError: If the other processes do not come, or cannot be reached.
    """
    cfg.launcher = launcher
    spread = 'FullyShard' in (cfg.get('model_wrapper_cfg') or {}).get('type', '')
    if launcher == 'none':
        if spread:
            print_log(
                'model_wrapper_cfg: FullyShard needs several processes, as '
                'tools/dist_train.sh starts; one holds the whole model',
                logger='current',
                level=logging.WARNING,
            )
        return
    if not cfg.get('model_wrapper_cfg'):
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
            gradient_as_bucket_view=True,
        )
    if not torch.cuda.is_available() and not spread:
        cfg.model_wrapper_cfg.device_ids = None
    if not is_distributed():
        connect(launcher, cfg.get('env_cfg') or {})


def build_runner(cfg: Config, launcher: str = 'none') -> Runner:
    """Check a config, fit it to the machine and build its Runner.

    From here on checkpoints are read without running code in them, and written so that
    an interruption leaves the old file. A run to resume is given its checkpoint.

    Args:
        cfg: The config; changed in place.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        A Runner, ready to train or test.

    Raises:
        ValueError: If a setting cannot work, or there is nothing good to resume from.
    """
    guard_mmengine()
    write_atomically()
    stop_at_full_disk()
    record_version()
    _format_once()
    add_guarantees(cfg)
    drop_switched_off(cfg)
    fit_sizes(cfg)
    check_arguments(cfg)
    check_updates(cfg)
    check_captions(cfg)
    check_recurrence(cfg)
    check_groups(cfg)
    drop_absent_workers(cfg)
    start_processes(cfg, launcher)
    if not torch.cuda.is_available():
        _replace(cfg.model, 'SyncBN', 'BN')  # PyTorch has none for the CPU
        keep_freed_memory()
    else:
        # TF32 for what autocast leaves in float32; the default is full precision.
        torch.set_float32_matmul_precision(cfg.get('float32_matmul', 'high'))
    # mmengine would begin an interrupted epoch again.
    _replace(cfg.get('train_cfg'), 'EpochBasedTrainLoop', 'ccmim.ResumableEpochLoop')
    build = RUNNERS.build if 'runner_type' in cfg else Runner.from_cfg
    try:
        runner = build(_without_resume(cfg))
    except KeyError as error:
        if unknown := unknown_type(error, cfg._cfg_dict):
            raise ValueError(unknown) from error
        raise
    _warn_unused_keys(runner)
    _prepare_training(runner)
    sharded = isinstance(runner.model, FullyShard)
    if sharded:
        adapt_checkpoints(runner)
    runner.register_hook(SummaryHook())
    runner.register_hook(LoadFromHook())
    if cfg.get('resume'):
        runner.cfg.resume, runner.cfg.load_from = True, cfg.get('load_from')
        # mmengine would trust `last_checkpoint`, and start at 0 without it.
        runner._load_from = choose_resume(runner.work_dir, cfg.get('load_from'))
        runner._resume = runner._load_from is not None
    if _wants_compilation(cfg) and not sharded:
        compile_blocks(runner.model)
    return runner


def _format_once() -> None:
    """Format the text of a config once: mmengine's Runner does it six times."""
    from yapf.yapflib import yapf_api

    if not hasattr(yapf_api.FormatCode, 'formatted'):
        yapf_api.FormatCode = _memoized(yapf_api.FormatCode)


def _memoized(format_code: Callable[..., Any]) -> Callable[..., Any]:
    formatted: dict[Any, Any] = {}

    def once(text: str, **options: Any) -> Any:
        key = text, repr(options)
        if key not in formatted:
            formatted.clear()  # the last one is all that a run asks for again
            formatted[key] = format_code(text, **options)
        return formatted[key]

    once.formatted = formatted  # type: ignore[attr-defined]
    return once


def _without_resume(cfg: Config) -> Config:
    """Return the config that the Runner writes to the work dir.

    A new start from that file must not resume unless it is asked to.
    """
    if not cfg.get('resume'):
        return cfg
    fresh = copy.deepcopy(cfg)
    fresh.resume, fresh.load_from = False, None
    return fresh


def _warn_unused_keys(runner: Runner) -> None:
    wrapper = runner.cfg.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in runner.model.named_parameters()] if keys else []
    for key in keys:
        if not any(key in name for name in names):
            print_log(
                f'optim_wrapper.paramwise_cfg.custom_keys.{key} is part of no '
                "parameter's name, and changes nothing",
                level=logging.WARNING,
            )


def _prepare_training(runner: Runner) -> None:
    """Seed the samples, and fit the schedule as soon as an epoch's length is known."""
    build = runner.build_train_loop

    def build_and_fit(loop: Any) -> Any:
        runner._train_dataloader = seed_samples(runner._train_dataloader)
        built = build(loop)
        check_batches(built, runner.model)
        runner.param_schedulers = fit_to_loop(runner.param_schedulers, built)
        return built

    runner.build_train_loop = build_and_fit


def use_mixed_precision(cfg: Config) -> None:
    """Switch a config that trains in full precision to bf16 autocast."""
    if cfg.optim_wrapper.type == 'OptimWrapper':
        cfg.optim_wrapper.type = 'ccmim.AutocastOptimWrapper'
        cfg.optim_wrapper.dtype = 'bfloat16'
    elif cfg.optim_wrapper.get('dtype') == 'float32':
        cfg.optim_wrapper.dtype = 'bfloat16'
    else:
        print_log(f'--amp changes nothing: {cfg.optim_wrapper.type} is set already')


def scale_learning_rate(cfg: Config) -> None:
    """Switch on mmengine's linear scaling, made aware of gradient accumulation.

    Raises:
        ValueError: If the config does not say for which batch size its rate is.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError('--auto-scale-lr needs auto_scale_lr.base_batch_size')
    # mmengine counts batch * processes; accumulation enlarges the real batch as well.
    accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
    cfg.auto_scale_lr.base_batch_size /= accumulated
    cfg.auto_scale_lr.enable = True


def report_batch(cfg: Config, num_processes: int) -> None:
    """Print the effective batch, and warn where the learning rate is for another."""
    batch = cfg.train_dataloader.batch_size
    accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
    total = batch * num_processes * accumulated
    text = (
        f'Effective batch {total} = {batch} a process x {num_processes} processes '
        f'x {accumulated} accumulated'
    )
    scaling = cfg.get('auto_scale_lr') or {}
    base = scaling.get('base_batch_size')
    if base and not scaling.get('enable') and total != base:
        text += (
            f'. WARNING: the learning rate {cfg.optim_wrapper.optimizer.lr:.3g} is for '
            f'a batch of {base}; --auto-scale-lr multiplies it by {total / base:.4g}'
        )
    print_log(text, logger='current')


def _wants_compilation(cfg: Config) -> bool:
    wanted = cfg.get('compile_blocks', False)
    return torch.cuda.is_available() if wanted == 'auto' else wanted


def _replace(node: Any, old: str, new: str) -> None:
    if isinstance(node, dict):
        if node.get('type') == old:
            node['type'] = new
        for value in node.values():
            _replace(value, old, new)
    elif isinstance(node, list | tuple):
        for value in node:
            _replace(value, old, new)
