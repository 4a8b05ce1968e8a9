"""Check every key and value of a config against the class that takes it."""

from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import FUNCTIONS, DefaultScope
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ccmim.engine.settings.known_ranges import (
    BY_CLASS,
    BY_NAME,
    BY_PATH,
    MULTIPLIERS,
    NEVER_NONE,
    Groups,
)
from ccmim.engine.settings.names import (
    check_type,
    did_you_mean,
    find_types,
    plain_kind,
    typo_of,
)
from ccmim.engine.settings.options import BUILT
from ccmim.ranges import (
    Arguments,
    Part,
    arguments_of,
    check_keys,
    check_value,
    is_ours,
)
from ccmim.renamed import renamed


def names_of(*kinds: Callable) -> set[str]:
    """Name the arguments that a config can give to some classes or functions."""
    names = {name for kind in kinds for name in arguments_of(kind).hints}
    return names - {'self', 'cfg', 'runner'}


# All that is read from a config: by the Runner, or by what builds it.
TOP = {
    *names_of(Runner),
    *BUILT,
    *('runner_type', 'custom_imports', 'model_wrapper_cfg', 'strategy', 'compile'),
    *('find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval'),
    *('compile_blocks', 'float32_matmul', 'resume_changed'),
}
_LOADER = names_of(DataLoader) | {'num_batch_per_epoch', 'disable_subprocess_warning'}
_LOOPS = names_of(EpochBasedTrainLoop, IterBasedTrainLoop)
# Parts without a ``type``, and what is read of them.
SECTIONS = {
    'train_dataloader': _LOADER,
    'val_dataloader': _LOADER,
    'test_dataloader': _LOADER,
    'train_cfg': {*_LOOPS, 'type', 'by_epoch'},
    'randomness': names_of(Runner.set_randomness),
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}
_SURE = 0.92  # similarity from which a variable is no variable
# Taken out by the owner before it builds the part: of the loss by DETR's head, of a
# hook by the Runner, of a wrapper of optimizers by what builds it.
_TAKEN_OUT = {
    *('type', '_scope_', 'bg_cls_weight', 'priority', 'constructor'),
    *('paramwise_cfg', 'by_epoch', 'convert_to_iter_based'),
}


def check_arguments(cfg: Config) -> None:
    """Compare every part of a config with the class that its ``type`` names.

    Old names of classes and arguments are replaced first, with a warning.

    Values must lie in the ranges that our classes state, or ``known_ranges`` for those
    of others. A key that a class does not take is refused; in models of others one that
    is very similar to an argument, as its owner may take out what it does not take.

    Args:
        cfg: A whole config.

    Raises:
        ValueError: Naming the first key that is wrong, and what it should be.
    """
    if cfg.get('default_scope') is not None:
        _check_scope(cfg.default_scope, 'default_scope')
    for key in cfg.keys() & BUILT:
        if (new := renamed(cfg._cfg_dict[key])) != cfg._cfg_dict[key]:
            cfg[key] = new
    for key in cfg.keys() - TOP:
        if meant := typo_of(key, TOP, _SURE):
            raise ValueError(f'unknown key {key}: did you mean {meant}?')
    for key, instead in NEVER_NONE.items():
        if key in cfg and cfg[key] is None and cfg.get('train_cfg'):
            raise ValueError(f'{key}=None would be silent: set {instead}')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        for key in dict.fromkeys(
            [*BUILT, *SECTIONS, *(k for k in BY_PATH if k in cfg)]
        ):
            if cfg.get(key) is not None:
                _check(cfg[key], key)


def _check_scope(scope: Any, path: str) -> None:
    check_value(scope, str, path)
    if not scope.isidentifier():  # mmengine imports it
        raise ValueError(f'{path}={scope!r} must name a package, such as mmdet')


def _check(node: Any, path: str) -> None:
    """Check a part whose own value lies in its range."""
    if path in BY_PATH and node is not None:
        check_value(node, BY_PATH[path], path)
    if isinstance(node, Mapping):
        if node.get('_scope_') is not None:
            _check_scope(node['_scope_'], f'{path}._scope_')
        with DefaultScope.overwrite_default_scope(node.get('_scope_')):
            if path.endswith(('.collate_fn', '.worker_init_fn')):
                _check_function(node, path)
            check_type(node.get('type'), path)
            kinds = find_types(node.get('type'))
            _check_names(node, kinds, path)
            _check_thresholds(node, path)
            _check_written(node, kinds, path)
            for key, value in node.items():
                _check_range(value, key, kinds, f'{path}.{key}')
                _check(value, f'{path}.{key}')
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            _check(value, f'{path}.{i}')


def _check_range(value: Any, key: str, kinds: list[Callable], path: str) -> None:
    hints = [arguments_of(kind).hints.get(key, Any) for kind in kinds]
    if len(hints) == 1 and hints[0] is not Any:
        check_value(value, hints[0], path)
    elif value is not None and path not in BY_PATH:
        stated = {plain_kind(kind, key) for kind in kinds if not is_ours(kind)}
        hint = BY_NAME.get(key, stated.pop() if len(stated) == 1 else Any)
        for owner in (o for kind in kinds for o in getattr(kind, '__mro__', ())):
            hint = BY_CLASS.get(owner.__name__, {}).get(key, hint)
        if hint is not Any:
            check_value(value, hint, path)


def _check_thresholds(node: Mapping[str, Any], path: str) -> None:
    pos, neg = (node.get(f'{kind}_iou_thr') for kind in ('pos', 'neg'))
    if all(isinstance(one, int | float) for one in (pos, neg)) and pos < neg:
        raise ValueError(
            f'{path}.pos_iou_thr={pos} is below {path}.neg_iou_thr={neg}: '
            'boxes between the two would be both'
        )


def _check_written(node: Mapping[str, Any], kinds: list[Callable], path: str) -> None:
    known = arguments_of(kinds[0]).hints if kinds else {}
    keys = [key for key in ('outfile_prefix', 'output_dir') if key in known]
    if node.get('format_only') is True and keys and node.get(keys[0]) is None:
        raise ValueError(
            f'{path}.format_only=True writes files instead of testing: say where, set '
            f'{path}.{keys[0]}'
        )


def _check_names(node: Mapping[str, Any], kinds: list[Callable], path: str) -> None:
    if path == 'optim_wrapper' and isinstance(node.get('paramwise_cfg'), Mapping):
        _check_groups(node, f'{path}.paramwise_cfg')
    given = node.keys() - _TAKEN_OUT
    known = set() if kinds else set(SECTIONS.get(path, ()))
    of_a_model = path.partition('.')[0] in ('model', 'tta_model')
    sure = bool(known) or not of_a_model or all(map(is_ours, kinds))
    for kind in kinds:
        arguments = arguments_of(kind)
        if arguments.open or given <= arguments.hints.keys():
            return
        known |= arguments.hints.keys()
    for key in sorted(given - known) if known or kinds else ():
        meant = typo_of(key, known)
        if meant or sure:
            near = f': did you mean {path}.{meant}?' if meant else ''
            who = getattr(kinds[0], '__name__', '') if kinds else ''
            why = f' ({who} has no argument {key})' if who else ''
            raise ValueError(f'unknown key {path}.{key}{near}{why}')


def _check_groups(wrapper: Mapping[str, Any], path: str) -> None:
    named, given = wrapper.get('constructor'), wrapper['paramwise_cfg']
    for kind in find_types(named) if named else [DefaultOptimWrapperConstructor]:
        hint = arguments_of(kind).hints.get('paramwise_cfg', Any)
        hint = Groups if kind is DefaultOptimWrapperConstructor else hint
        if hint is not Any:
            check_value(given, hint, path)
        if hint is Groups:  # which writes the rest of a key into its group
            known = dict(MULTIPLIERS)
            for optimizer in find_types((wrapper.get('optimizer') or {}).get('type')):
                known |= arguments_of(optimizer).hints
            for name, group in (given.get('custom_keys') or {}).items():
                where = f'{path}.custom_keys.{name}'
                check_value(group, Part, where)
                check_keys(group, Arguments(known, False), where)


def _check_function(node: Mapping[str, Any], path: str) -> None:
    # mmengine would continue without the function.
    kind = node.get('type')
    if isinstance(kind, str) and FUNCTIONS.get(kind) is None:
        near = did_you_mean(kind, FUNCTIONS.module_dict)
        raise ValueError(f'unknown type {kind} of {path}{near}')
