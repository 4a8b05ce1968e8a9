"""A warning when the contrast or the masks of a run have collapsed.

B batch, N patches, n samples, C channels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ccmim.engine.hooks.deferred_log import line_is_due
from ccmim.registry import HOOKS

_MIN_BATCH = 8  # images from which masks are compared


def likeness(keys: Tensor) -> Tensor:
    """Compute the mean cosine of keys (..., n, C) with each other, themselves too.

    Returns:
        Scalar in [0, 1]; 1 / n for keys in all directions, 1 for keys that are alike.
    """
    keys = F.normalize(keys.float(), dim=-1)
    return keys.mean(dim=-2).square().sum(dim=-1).mean()


def lead(queries: Tensor, keys: Tensor) -> Tensor:
    """Compute how much closer a query is to its key than to all, as a mean cosine.

    Args:
        queries: Of shape (n, C).
        keys: In the same order, of shape (n, C).

    Returns:
        Scalar in [-2, 2]; about 0 when the contrast has learnt nothing, or lost it.
    """
    queries, keys = (F.normalize(x.float(), dim=-1) for x in (queries, keys))
    return (queries * keys).sum(dim=1).mean() - queries.mean(dim=0) @ keys.mean(dim=0)


def mask_overlap(mask: Tensor) -> Tensor:
    """Compute how alike the masks (B, N) of a batch are.

    Returns:
        Scalar; the variance of a patch's share of masks, over what it would be if all
        were the same: 1 / B for independent masks, 1 for equal ones.
    """
    share = mask.float().mean(dim=0)
    ratio = share.mean()
    return (share.square().mean() - ratio.square()) / (ratio - ratio.square())


def score_spread(scores: Tensor) -> Tensor:
    """Compute the spread of an image's scores (B, N): deviation / mean, averaged."""
    return (scores.float().std(dim=1) / scores.float().mean(dim=1)).mean()


@HOOKS.register_module()
class CollapseHook(Hook):
    """Warn once when keys, masks or scores have been alike for some lines of the log.

    Looks at what the method computes anyway, at the steps of which a line is logged.
    Methods without a contrast, or that mask without scores, have less to look at.

    Args:
        patience: Lines in a row; a network that has just begun may look collapsed.

    Raises:
        ValueError: If it is not positive.
    """

    priority = 55  # after the losses are read

    def __init__(self, patience: int = 20) -> None:
        if patience < 1:
            raise ValueError(f'patience={patience} must be positive')
        self._patience = patience
        self._due = False
        self._seen: dict[str, list[Tensor]] = {}
        self._lines: dict[str, int] = {}
        self._handles: list[RemovableHandle] = []

    def before_train(self, runner: Runner) -> None:
        """Watch the parts of the method."""
        wrapped = is_model_wrapper(runner.model)
        method = runner.model.module if wrapped else runner.model
        contrast, sampler, scorer = (
            getattr(method, name, None) for name in ('contrast', 'sampler', 'scorer')
        )
        if projector := getattr(contrast, 'projector', None):
            self._watch(projector, 'projected', lambda inputs, output: output)
        elif contrast is not None:
            self._watch(contrast, 'keys', lambda inputs, output: inputs[1])
        if sampler is not None:
            self._watch(sampler, 'mask', lambda inputs, output: output.mask)
        if scorer is not None:
            self._watch(scorer, 'scores', lambda inputs, output: output)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Look at this step if a line will be logged."""
        self._due = line_is_due(runner, batch_idx)
        self._seen = {}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Judge what was seen."""
        values = self._values() if self._due else {}
        self._due = False
        if not values:
            return
        numbers = torch.stack(list(values.values())).cpu().numpy()
        for name, number in zip(values, numbers, strict=True):
            collapsed, text = _SIGNS[name]
            lines = self._lines.get(name, 0) + 1 if collapsed(number) else 0
            self._lines[name] = lines
            if lines == self._patience:
                runner.logger.warning(f'Collapse at step {runner.iter + 1}: {text}')

    def after_train(self, runner: Runner) -> None:
        """Let go of the method."""
        for handle in self._handles:
            handle.remove()

    def _watch(self, part: nn.Module, name: str, pick: Any) -> None:
        def note(module: nn.Module, inputs: tuple, output: Any) -> None:
            seen = self._seen.setdefault(name, [])
            if self._due and len(seen) < 2:  # of several masks the first
                seen.append(pick(inputs, output).detach())

        self._handles.append(part.register_forward_hook(note))

    def _values(self) -> dict[str, Tensor]:
        seen, values = self._seen, {}
        if len(seen.get('projected', ())) == 2:
            queries, keys = seen['projected']
            values['likeness'] = likeness(keys)
            values['lead'] = lead(queries, keys)
        if 'keys' in seen:
            values['likeness'] = likeness(seen['keys'][0])
        if 'mask' in seen and len(seen['mask'][0]) >= _MIN_BATCH:
            values['overlap'] = mask_overlap(seen['mask'][0])
        if 'scores' in seen:
            values['spread'] = score_spread(seen['scores'][0])
        return values


# Healthy runs have a likeness below 0.1 and a lead above 0.3 from the first step on,
# an overlap of 1 / batch and, from random weights on, a spread above 0.02.
_SIGNS = {
    'likeness': (
        lambda x: x > 0.99,
        'all keys of the contrast are alike. Lower the learning rate, or go back to a '
        'projector with batch norm',
    ),
    'lead': (
        lambda x: x < 0.01,
        'the contrast cannot tell the images apart, its loss is that of chance '
        '(log of the number of keys). Lower the learning rate or the temperature',
    ),
    'overlap': (
        lambda x: x > 0.9,
        'nearly all images are masked at the same patches. Use a sampler with noise or '
        'a higher temperature',
    ),
    'spread': (
        lambda x: 0 < x < 1e-3,  # exactly 0 is a scorer that means it
        'all patches score alike, so the masks are random ones. Look at model.scorer',
    ),
}
