"""What a run writes into a checkpoint, as a schema."""

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import (
    ConfigDict,
    InstanceOf,
    NonNegativeInt,
    TypeAdapter,
    ValidationError,
)
from torch import Tensor
from typing_extensions import NotRequired, TypedDict

_OPEN = ConfigDict(extra='allow', strict=True)


class _Record(TypedDict):
    """Of ``ResumeHook``; what older versions did not write may be missing."""

    __pydantic_config__ = _OPEN
    processes: NonNegativeInt
    batch: NonNegativeInt
    accumulated: NonNegativeInt
    images: NonNegativeInt
    length: NonNegativeInt
    names: str | None
    version: str
    contents: NotRequired[InstanceOf[Tensor] | None]
    parameters: NotRequired[list[str]]
    states: NotRequired[NonNegativeInt]
    frozen: NotRequired[dict[str, str]]


class _Meta(TypedDict):
    __pydantic_config__ = _OPEN
    epoch: NonNegativeInt
    iter: NonNegativeInt
    seed: NotRequired[int | None]
    ccmim: NotRequired[_Record]


class _Info(TypedDict):
    __pydantic_config__ = _OPEN
    keep_ckpt_ids: NotRequired[list[int | str]]


class _Hub(TypedDict):
    __pydantic_config__ = _OPEN
    log_scalars: dict[str, Any]
    runtime_info: _Info
    resumed_keys: dict[str, Any]


class _Group(TypedDict):
    __pydantic_config__ = _OPEN
    params: list[NonNegativeInt]


class _Optimizer(TypedDict):
    __pydantic_config__ = _OPEN
    state: NotRequired[dict[NonNegativeInt, dict[str, Any]]]
    param_groups: NotRequired[list[_Group]]


class _Scheduler(TypedDict):
    __pydantic_config__ = _OPEN
    last_step: Annotated[int, Ge(-1)]  # before it begins
    _global_step: NonNegativeInt


class _Checkpoint(TypedDict):
    __pydantic_config__ = _OPEN
    state_dict: dict[str, Any]
    optimizer: _Optimizer
    message_hub: _Hub
    meta: _Meta
    # A list of each optimizer where there are several.
    param_schedulers: NotRequired[list[_Scheduler] | dict[str, list[_Scheduler]]]


_SCHEMA = TypeAdapter(_Checkpoint)


def odd_entry(checkpoint: Mapping[str, Any]) -> str | None:
    """Describe the first entry of a kind that no run writes; None if there is none."""
    try:
        _SCHEMA.validate_python(checkpoint)
    except ValidationError as errors:
        error = errors.errors(include_url=False)[0]
        # A union adds which of its kinds was tried.
        place = '.'.join(str(part) for part in error['loc'] if '[' not in str(part))
        found = error['input']
        is_short = isinstance(found, str | int | float)
        shown = ascii(found)[:40] if is_short else type(found).__name__
        return f'its {place} is {shown}: {error["msg"].lower()}'
    groups = checkpoint['optimizer'].get('param_groups', [])
    numbers = [number for group in groups for number in group['params']]
    known = set(numbers) == set(range(len(numbers)))
    if groups and not (
        known and checkpoint['optimizer'].get('state', {}).keys() <= set(numbers)
    ):
        return (
            'its optimizer.param_groups do not count the parameters that have a state'
        )
    return None
