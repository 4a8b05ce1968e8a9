"""Misspelt arguments anywhere in a config, found before anything is built."""

from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

from mmengine.config import Config
from mmengine.registry import FUNCTIONS, DefaultScope
from mmengine.runner import Runner

from ccmim.engine.settings.names import arguments_of, did_you_mean, find_types, typo_of
from ccmim.renamed import renamed

# What mmengine's Runner builds; the other names of a config are its own variables.
BUILT = (
    *('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader'),
    *('test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper'),
    *('param_scheduler', 'val_evaluator', 'test_evaluator', 'default_hooks'),
    *('custom_hooks', 'visualizer', 'log_processor', 'tta_model', 'tta_pipeline'),
)


def names_of(*kinds: Callable) -> set[str]:
    """Name the arguments that a config can give to some classes or functions."""
    names = {name for kind in kinds for name in arguments_of(kind)}
    return names - {'self', 'cfg', 'runner', 'kwargs'}


# All that is read from a config: by the Runner, or by what builds it.
TOP = {
    *names_of(Runner),
    *BUILT,
    *('runner_type', 'custom_imports', 'model_wrapper_cfg', 'strategy', 'compile'),
    *('find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval'),
    *('compile_blocks', 'float32_matmul', 'resume_changed'),
}
_SURE = 0.92  # similarity from which a variable is no variable
# Taken out by the owner before it builds the part: of the loss, by DETR's head.
_TAKEN_OUT = {'bg_cls_weight'}


def check_arguments(cfg: Config) -> None:
    """Compare every part of a config with the class that its ``type`` names.

    Old names of classes and arguments are replaced first, with a warning.

    A key is refused if the class has no such argument but a very similar one. Keys that
    are like none of them are left to the class that builds the part, as it may take
    them out.

    Args:
        cfg: A whole config.

    Raises:
        ValueError: Naming the first misspelt key and what it should be.
    """
    for key in cfg.keys() & BUILT:
        if (new := renamed(cfg._cfg_dict[key])) != cfg._cfg_dict[key]:
            cfg[key] = new
    for key in cfg.keys() - TOP:
        if meant := typo_of(key, TOP, _SURE):
            raise ValueError(f'unknown key {key}: did you mean {meant}?')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        for key in BUILT:
            _check(cfg.get(key), key)


def _check(node: Any, path: str) -> None:
    if isinstance(node, Mapping):
        with DefaultScope.overwrite_default_scope(node.get('_scope_')):
            if path.endswith(('.collate_fn', '.worker_init_fn')):
                _check_function(node, path)
            elif 'type' in node:
                _check_keys(node, path)
            for key, value in node.items():
                _check(value, f'{path}.{key}')
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            _check(value, f'{path}.{i}')


def _check_keys(node: Mapping[str, Any], path: str) -> None:
    given = node.keys() - {'type', '_scope_'} - _TAKEN_OUT
    known: set[str] = set()
    for kind in find_types(node['type']):
        arguments = arguments_of(kind)
        if given <= arguments.keys() or _takes_any(arguments):
            return
        known |= arguments.keys()
    for key in sorted(given - known):
        if meant := typo_of(key, known):
            kind = node['type']
            raise ValueError(
                f'unknown key {path}.{key}: did you mean {path}.{meant}? '
                f'({getattr(kind, "__name__", kind)} has no argument {key})'
            )


def _takes_any(arguments: Mapping[str, Parameter]) -> bool:
    return not arguments or any(
        argument.kind == Parameter.VAR_KEYWORD for argument in arguments.values()
    )


def _check_function(node: Mapping[str, Any], path: str) -> None:
    # mmengine would go on without the function.
    kind = node.get('type')
    if isinstance(kind, str) and FUNCTIONS.get(kind) is None:
        near = did_you_mean(kind, FUNCTIONS.module_dict)
        raise ValueError(f'unknown type {kind} of {path}{near}')
