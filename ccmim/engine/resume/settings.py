"""Settings that affect the numbers of a run, and how two runs differ in them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.config import Config

from ccmim.checkpoints.config_text import read_values
from ccmim.engine.settings.names import default_of, find_types
from ccmim.ranges import in_epochs
from ccmim.renamed import renamed

PARTS = (
    *('model', 'optim_wrapper', 'param_scheduler', 'train_dataloader', 'train_cfg'),
    *('auto_scale_lr', 'float32_matmul', 'randomness'),
)
# Keys that change where things lie or how fast they come. What paths lead to is
# compared by itself; batches and the length of a run have their own rules.
_HARMLESS = {
    *('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor', 'timeout'),
    *('batch_size', 'accumulative_counts', 'max_epochs', 'max_iters', 'end', 'T_max'),
    *('total_iters', 'val_interval', 'val_begin', 'dynamic_intervals'),
    *('data', 'data_root', 'root', 'ann_file', 'data_prefix', 'exclude', 'cache'),
    'cache_gb',
    *('backend_args', 'file_client_args', 'checkpoint', 'init_cfg', 'pretrained'),
    *('with_cp', 'fused', 'foreach', 'capturable', 'test_cfg', 'deterministic'),
    'weight_init',  # the weights are the checkpoint's
}
# Hooks that change the numbers of a run. All others look on, save or end it; what a
# user's own does is the user's to know.
_DECIDING_HOOKS = re.compile(
    r'(StepSeed|ScoreRefresh|.*EMA|MeanTeacher|SyncBuffers|SyncNorm|SetEpochInfo|'
    r'.*PipelineSwitch|.*ModeSwitch)Hook'
)
_COUNT = re.compile(r'param_scheduler\..*(begin|step_size|milestones)')
# One and the same, as the engine and the machine have it.
_SAME_TYPE = {'EpochBasedTrainLoop': 'ResumableEpochLoop', 'SyncBN': 'BN'}


class Shown(str):
    """A text that stands for something else than itself."""


ABSENT = Shown('absent')


class Difference(NamedTuple):
    """One difference between a run and the run of a checkpoint."""

    key: str
    was: Any
    now: Any
    is_state: bool = False  # what no run can resume with

    def __str__(self) -> str:
        """Format it in one line."""
        return f'{self.key}: {_short(self.was)} -> {_short(self.now)}'


def deciding_values(text: str) -> dict[str, Any]:
    """Read what decides the numbers of a run from the text of its config.

    Args:
        text: ``pretty_text`` of the config.

    Raises:
        ValueError: The text holds more than plain values.
    """
    values = renamed(read_values(text))
    settle_positions(values.get('model'))
    if epochs := (values.get('train_cfg') or {}).get('max_epochs'):
        for part in values.keys() & {'model', 'custom_hooks'}:
            values[part] = count_epochs(values[part], epochs)
    deciding = {part: values[part] for part in PARTS if part in values}
    hooks = [*values.get('custom_hooks', ()), *values.get('default_hooks', {}).values()]
    deciding['hooks'] = {
        _last(hook['type']): hook
        for hook in hooks
        if isinstance(hook, Mapping)
        and _DECIDING_HOOKS.fullmatch(_last(hook.get('type')))
    }
    return deciding


def settle_positions(model: Any) -> None:
    """Express the position grid of a backbone by ``img_size`` alone."""
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if isinstance(backbone, dict) and (size := backbone.pop('pos_size', None)):
        backbone['img_size'] = size


def count_epochs(node: Any, epochs: int) -> Any:
    """Convert fractions of the run to epochs."""
    if isinstance(node, dict):
        parts = {key: count_epochs(value, epochs) for key, value in node.items()}
        if parts.get('rise_epochs'):
            parts['rise_epochs'] = in_epochs(parts['rise_epochs'], epochs)
        if _last(node.get('type')) in ('SwitchSampler', 'ScoreRefreshHook'):
            for key in parts.keys() & {'begin', 'interval'}:
                parts[key] = in_epochs(parts[key], epochs)
        if _last(node.get('type')) == 'ProgressiveResize':
            stages = parts.get('schedule') or ()
            parts['schedule'] = [[in_epochs(e, epochs), side] for e, side in stages]
        return parts
    if isinstance(node, list | tuple):
        return [count_epochs(part, epochs) for part in node]
    return node


def differing_settings(text: str, cfg: Config) -> list[Difference]:
    """Compare the config of a checkpoint with that of a run.

    Args:
        text: That of the checkpoint.
        cfg: That of the run, in the scope of which types are looked up.

    Returns:
        What decides the numbers and is not the same; a part that one of them lacks as
        a whole is left out, as its run was made in Python.

    Raises:
        ValueError: The text cannot be read.
    """
    old, new = deciding_values(text), deciding_values(cfg.pretty_text)
    differences: list[Difference] = []
    for part in old.keys() & new.keys():
        differences += _compare(part, old[part], new[part])
    order = [*PARTS, 'hooks']
    return sorted(
        differences, key=lambda one: (order.index(one.key.split('.')[0]), one.key)
    )


def _compare(key: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compare_parts(key, old, new)
    elif _is_list(old) and _is_list(new):
        if len(old) == len(new):
            for i, pair in enumerate(zip(old, new, strict=True)):
                yield from _compare(f'{key}.{i}', *pair)
        else:
            yield Difference(key, old, new)
    elif not (old == new or (old != old and new != new) or _fraction(key, old, new)):
        yield Difference(key, old, new)


def _fraction(key: str, old: Any, new: Any) -> bool:
    """Return whether a schedule counts steps in one and fractions in the other.

    Its rates are compared by themselves.
    """
    return bool(_COUNT.match(key)) and {type(old), type(new)} == {int, float}


def _compare_parts(key: str, old: Mapping, new: Mapping) -> Iterator[Difference]:
    kinds = [_last(part.get('type')) for part in (old, new)]
    if _SAME_TYPE.get(kinds[0], kinds[0]) != _SAME_TYPE.get(kinds[1], kinds[1]):
        yield Difference(f'{key}.type', *kinds)
        return
    for name in sorted({*old, *new} - {'type', '_scope_'} - _HARMLESS, key=str):
        full = f'{key}.{name}'
        if name in old and name in new:
            yield from _compare(full, old[name], new[name])
            continue
        given = old[name] if name in old else new[name]
        if isinstance(given, Mapping) and 'type' not in given:
            yield from _compare_parts(full, old.get(name, {}), new.get(name, {}))
        elif not _is_default(new.get('type'), name, given):
            yield Difference(full, old.get(name, ABSENT), new.get(name, ABSENT))


def _is_default(kind: Any, name: str, value: Any) -> bool:
    """Return whether leaving an argument out means the value, or None."""
    if value is None or value == {}:
        return True
    for owner in find_types(kind):
        default = default_of(owner, name) if isinstance(owner, type) else None
        if default == value or (_is_list(default) and list(default) == list(value)):
            return True
    return False


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _last(kind: Any) -> str:
    return str(kind).rpartition('.')[2]


def _short(value: Any) -> str:
    text = value if isinstance(value, Shown) else ascii(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
