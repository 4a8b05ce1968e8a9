"""What a run will do, told before its first step: precision, rates, schedule."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

REST = 'the rest'


class PlanHook(Hook):
    """Log the precision, each layer's learning rate and weight decay, and the schedule.

    The precision is what 'auto' has chosen; rates are those that the schedule starts
    from, after --auto-scale-lr.
    """

    priority = 'VERY_LOW'  # after a run that is finished has ended

    def before_train(self, runner: Runner) -> None:
        """Log them once."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        dtype = getattr(runner.optim_wrapper, 'dtype', torch.float32)
        lines = [f'Forward passes in {str(dtype).removeprefix("torch.")}']
        lines += describe_rates(model, runner.optim_wrapper.optimizer.param_groups)
        lines += describe_schedule(runner.cfg.get('param_scheduler'))
        runner.logger.info('\n'.join(lines))


def describe_rates(model: nn.Module, groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write a table with a line for each learning rate, from the lowest up.

    Args:
        model: Its part with ``layer_id`` tells embedding, blocks and the rest apart.
        groups: Of an optimizer over the model's parameters.

    Returns:
        Lines: the rate, numbers of values with and without weight decay, the layers.
    """
    layer_of = _layers(model)
    rows: dict[float, tuple[list[int], set[int]]] = defaultdict(lambda: ([0, 0], set()))
    for group in groups:
        counts, layers = rows[group.get('initial_lr', group['lr'])]
        for param in group['params']:
            counts[not group.get('weight_decay')] += param.numel()
            layers.add(layer_of[param])
    lines = ['Learning rate  values decayed   not decayed  of']
    for rate, ((decayed, free), layers) in sorted(rows.items()):
        lines.append(f'{rate:13.3e}{decayed:16,}{free:14,}  {_name(layers)}')
    return lines


def describe_schedule(
    schedulers: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
) -> list[str]:
    """Write a line for each stage of a schedule, from the config."""
    if not schedulers:
        return ['Schedule: none, rates stay as they are']
    listed = [schedulers] if isinstance(schedulers, Mapping) else schedulers
    lines = ['Schedule (tools/plot_schedule.py draws it):']
    for scheduler in listed:
        unit = 'epochs' if scheduler.get('by_epoch', True) else 'steps'
        begin, end = scheduler.get('begin', 0), scheduler.get('end')
        told = {'type', 'by_epoch', 'begin', 'end', 'T_max', 'convert_to_iter_based'}
        others = [f'{k}={v}' for k, v in scheduler.items() if k not in told]
        lines.append(
            f'  {unit} {begin} to {"the end" if end is None else end}: '
            f'{scheduler["type"]}{" " * bool(others)}{", ".join(others)}'
        )
    return lines


def _layers(model: nn.Module) -> dict[nn.Parameter, int]:
    # -1 for what lies outside of the blocks and the embedding, 0, of the backbone.
    layers = dict.fromkeys(model.parameters(), -1)
    for part in model.modules():
        if callable(getattr(part, 'layer_id', None)):
            for name, param in part.named_parameters():
                depth = part.layer_id(name)
                layers[param] = depth if depth < part.num_layers - 1 else -1
    return layers


def _name(layers: set[int]) -> str:
    names = ['embedding'] if 0 in layers else []
    blocks = sorted(i - 1 for i in layers if i > 0)
    jumps = [i for i, (a, b) in enumerate(pairwise(blocks), 1) if b > a + 1]
    for first, last in pairwise([0, *jumps, len(blocks)]):
        if first < last:
            ends = blocks[first], blocks[last - 1]
            same = ends[0] == ends[1]
            names.append(
                f'block {ends[0]}' if same else f'blocks {ends[0]} to {ends[1]}'
            )
    return ', '.join(names + [REST] * (-1 in layers))
