"""Print precision, learning rates and schedule before the first step."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from ccmim.engine.optim.schedule import fit_to_loop
from ccmim.losses.queue_contrast import Queue

REST = 'the rest'
INF = int(1e9)  # what mmengine takes for no end


class SummaryHook(Hook):
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
        schedule = fit_to_loop(runner.cfg.get('param_scheduler'), runner.train_loop)
        length = len(runner.train_dataloader)
        by_epoch = not isinstance(runner.train_loop, IterBasedTrainLoop)
        lines += describe_schedule(schedule, by_epoch and length)
        runner.logger.info('\n'.join(lines))
        photos = len(runner.train_dataloader.dataset)
        for text in [*beyond_the_run(schedule, runner), *long_queues(model, photos)]:
            runner.logger.warning(text)


def long_queues(model: nn.Module, photos: int) -> list[str]:
    """Name the queues of a model that hold more than its photos give in an epoch.

    Args:
        model: With queues or without.
        photos: How many there are.

    Returns:
        A line each.
    """
    lines = []
    for name, part in model.named_modules():
        if not isinstance(part, Queue):
            continue
        length, most = len(part.queue), photos * part.per_photo
        if length > most:
            lines.append(
                f'model.{name}.length={length} is more than {photos} photos give in an '
                f'epoch, {most}: it holds the same photos again, as they were before; '
                f'set it to {max(1, most // 2)} or less'
            )
    return lines


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
    epoch_length: int = 0,
) -> list[str]:
    """Write a line for each stage of a schedule.

    Args:
        schedulers: ``param_scheduler`` of a config, without fractions.
        epoch_length: Steps of an epoch, to count in epochs what is counted in steps.

    Returns:
        Lines.
    """
    if not schedulers:
        return ['Schedule: none, rates stay as they are']
    listed = [schedulers] if isinstance(schedulers, Mapping) else schedulers
    lines = ['Schedule (tools/plot_schedule.py draws it):']
    for scheduler in listed:
        by_epoch = scheduler.get('by_epoch', True)
        unit = 'epochs' if by_epoch or epoch_length else 'steps'
        length = 1 if by_epoch else epoch_length or 1
        begin, end = scheduler.get('begin', 0) / length, scheduler.get('end')
        shown = {'type', 'by_epoch', 'begin', 'end', 'T_max'}
        others = [
            f'{k}={[round(m / length, 6) for m in v] if k == "milestones" else v}'
            for k, v in scheduler.items()
            if k not in shown
        ]
        lines.append(
            f'  {unit} {begin:.9g} to '
            f'{"the end" if end is None else f"{end / length:.9g}"}: '
            f'{scheduler["type"]}{" " * bool(others)}{", ".join(others)}'
        )
    return lines


def beyond_the_run(schedulers: Any, runner: Runner) -> list[str]:
    """Name the schedulers that would end after the run does."""
    listed = [schedulers] if isinstance(schedulers, Mapping) else schedulers or []
    texts = []
    for i, scheduler in enumerate(listed):
        by_epoch = scheduler.get('by_epoch', True)
        total = runner.max_epochs if by_epoch else runner.max_iters
        if total < scheduler.get('end', total) < INF:
            unit = 'epochs' if by_epoch else 'steps'
            texts.append(
                f'param_scheduler.{i} ({scheduler["type"]}) ends after '
                f'{scheduler["end"]} {unit} and the run after {total}: leave `end` '
                'out, or give a fraction of the run such as 0.05'
            )
    return texts


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
