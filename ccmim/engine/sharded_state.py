"""Checkpoints of a run whose weights are spread over processes: full, or in shards."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import (
    all_gather_object,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ccmim.checkpoints.safe_load import guard_mmengine
from ccmim.checkpoints.shards import (
    KEY,
    folder_of,
    remove_checkpoint,
    shard_name,
    stand_in,
)
from ccmim.checkpoints.verify import verify_archive
from ccmim.engine.nonfinite.hook import FiniteHook
from ccmim.files import PART, WriteError, replacing, sync_folder


def adapt_checkpoints(runner: Runner) -> None:
    """Let a Runner whose model is sharded save, and resume from, whole tensors or rows.

    All processes have to save together, as ``SafeCheckpointHook`` does.

    Raises:
        ValueError: If the run has what does not go with sharded weights.
    """
    cfg, shards = runner.cfg, runner.model.saves_shards
    savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    for key, is_there in {
        'compile_blocks=True': cfg.get('compile_blocks') is True,
        "optim_wrapper.dtype='float16'": cfg.optim_wrapper.get('dtype') == 'float16',
        'EMAHook': any(isinstance(hook, EMAHook) for hook in runner.hooks),
        'default_hooks.checkpoint.out_dir on a server': shards
        and any('://' in str(hook.out_dir) for hook in savers),
    }.items():
        if is_there:
            raise ValueError(f'{key} cannot be had with FullyShard: leave out one')
    build, save, load = (
        runner.build_optim_wrapper,
        runner.save_checkpoint,
        runner.load_checkpoint,
    )

    written: list[Any] = []  # the last ones

    def build_optim_wrapper(optim_wrapper: Any) -> Any:
        built = build(optim_wrapper)
        built.optimizer.register_load_state_dict_pre_hook(_spread_moments)
        return built

    def save_together(out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        model, optimizer = runner.model.module, runner.optim_wrapper.optimizer
        weights, moments = model.state_dict(), optimizer.state_dict()
        if shards:
            for hook in runner.hooks:
                if isinstance(hook, FiniteHook):
                    _together(partial(hook.check_weights, weights, runner.iter + 1))
            rows: dict[str, Tensor] = {}
            weights.update(_take_rows({**weights}, 'state_dict', rows))
            if kwargs.get('save_optimizer', True):
                moments = _take_rows(moments, 'optimizer', rows)
            file, name = Path(out_dir) / filename, f'{runner.timestamp} {runner.iter}'
            if written != [file, name]:  # a new best one has its step's saved again
                write_shards(file, name, rows)
                written[:] = [file, name]
            note = dict(id=name, count=get_world_size(), tensors=len(rows))
            kwargs['meta'] = {**(kwargs.get('meta') or {}), KEY: note}
        else:
            weights.update(gather({**weights}))
            moments = gather(moments)
        if is_main_process():
            model.state_dict, optimizer.state_dict = lambda: weights, lambda: moments
        try:
            save(out_dir, filename, *args, **kwargs)
        finally:
            if is_main_process():
                del model.state_dict, optimizer.state_dict

    def load_rows(filename: str, map_location: Any = 'cpu', **kwargs: Any) -> Any:
        guard_mmengine(runner.model.mesh)
        try:
            return load(filename, map_location='cpu', **kwargs)  # which has more room
        finally:
            guard_mmengine()

    runner.build_optim_wrapper = build_optim_wrapper
    runner._init_model_weights = lambda: None  # they were, before they were spread
    runner.save_checkpoint = save_together
    runner.load_checkpoint = load_rows


def write_shards(file: Path, name: str, rows: dict[str, Tensor]) -> None:
    """Write the rows of all processes into the folder beside a checkpoint.

    The folder has another name until all of them are complete and verified.

    Args:
        file: The checkpoint, to be written afterwards.
        name: Of this checkpoint among others, the same in all processes.
        rows: Those of this process, by where they belong.

    Raises:
        WriteError: In all processes, if one of them cannot write.
    """
    folder, count = folder_of(file), get_world_size()
    part = file.with_name(f'.{folder.name}{PART}')
    shard = part / shard_name(get_rank(), count)

    def write() -> None:
        with replacing(shard) as temporary, temporary.open('wb') as stream:
            try:
                torch.save(dict(id=name, tensors=rows), stream)
            except RuntimeError as error:  # PyTorch hides what the disk has said
                cause = error.__context__
                raise (cause if isinstance(cause, OSError) else error) from None
        verify_archive(shard)

    def complete() -> None:
        for rank in range(count):
            if not (part / shard_name(rank, count)).is_file():
                raise WriteError(
                    f'cannot write {file}: {folder.parent} of process {rank} is '
                    "another folder; state_dict_type='sharded' needs one file system "
                    'for all hosts'
                )
        remove_checkpoint(file)  # of an attempt that was given up
        part.rename(folder)
        sync_folder(folder.parent)

    _together(lambda: shutil.rmtree(part, ignore_errors=True), on_main=True)
    _together(write)
    _together(complete, on_main=True)


def _together(step: Callable[[], None], on_main: bool = False) -> None:
    """Take a step in all processes, or the main one; fail in all if one does."""
    failure = None
    try:
        if not on_main or is_main_process():
            step()
    except (OSError, ValueError, RuntimeError, FloatingPointError) as error:
        failure = error
    for one in all_gather_object(failure):
        if one:
            raise one


def _take_rows(state: Any, path: str, rows: dict[str, Tensor]) -> Any:
    """Move this process's rows out of a state dict; their shapes stay in it."""
    if isinstance(state, DTensor):
        own = state.to_local().detach().cpu().contiguous()
        # A piece of a padded one would be written with its padding.
        whole = own.untyped_storage().nbytes() == own.nbytes
        rows[path] = own if whole else own.clone()
        return stand_in(state)
    if isinstance(state, dict):
        return {k: _take_rows(v, f'{path}/{k}', rows) for k, v in state.items()}
    return state


def gather(state: Any) -> Any:
    """Whole tensors on the main process; the others only take part."""
    if isinstance(state, DTensor):
        whole = state.full_tensor()
        return whole.cpu() if is_main_process() else None
    if isinstance(state, dict):
        return {key: gather(value) for key, value in state.items()}
    if isinstance(state, list):
        return [gather(value) for value in state]
    return state


def spread(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Cut whole tensors of a state dict as the parameters are, before it is loaded."""
    for name, own in module._parameters.items():
        value = state.get(prefix + name)
        if isinstance(own, DTensor) and isinstance(value, Tensor):
            state[prefix + name] = _like(own, value)


def _spread_moments(optimizer: Any, state: dict[str, Any]) -> dict[str, Any]:
    own = [value for group in optimizer.param_groups for value in group['params']]
    numbers = [n for group in state['param_groups'] for n in group['params']]
    moments = dict(state['state'])
    for value, number in zip(own, numbers, strict=True):
        if number in moments and isinstance(value, DTensor):
            moments[number] = {
                key: _like(value, moment)
                if isinstance(moment, Tensor) and moment.shape == value.shape
                else moment
                for key, moment in moments[number].items()
            }
    return {**state, 'state': moments}


def _like(own: DTensor, value: Tensor) -> Tensor:
    if value.shape != own.shape or isinstance(value, DTensor):
        return value  # another shape is refused by who loads it
    value = value.to(own.device, own.dtype)
    return distribute_tensor(value, own.device_mesh, own.placements)
