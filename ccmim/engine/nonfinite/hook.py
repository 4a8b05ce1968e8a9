"""Stop a run whose losses, gradients or weights are not finite, and say why."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from ccmim.checkpoints.shards import is_stand_in
from ccmim.engine.hooks.checkpoint import in_cycle
from ccmim.engine.hooks.deferred_log import line_is_due
from ccmim.engine.nonfinite.bad_step import image_names, images_of, save_step
from ccmim.engine.nonfinite.update_guard import StatisticsGuard
from ccmim.files import WriteError
from ccmim.ranges import Index
from ccmim.registry import HOOKS

_SHOWN = 3  # names of images in a message
_HALVINGS = 16  # from the first scale of fp16 to 1: more is no overflow
_ADVICE = (
    'Resume from the last checkpoint with a lower learning rate, clipped gradients or '
    'float32'
)


class _Step(NamedTuple):
    number: int  # from 1
    images: Tensor | list[str]
    updated: bool  # the gradients were complete


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop at a NaN or infinite loss, gradient or weight, before it is saved.

    ``AutocastOptimWrapper`` leaves out, on the device, the update of a step with a bad
    loss or gradient, and every later one. Here the losses and norms are looked at when
    they are read for the log anyway, so steps that log nothing wait for nothing; then
    the first bad step is named, with its images, and written to ``debug/nan_STEP.pt``
    in the work dir (see ``replay_step``). Weights are looked at when they are on the
    host, on their way into a checkpoint.

    fp16 leaves out the steps whose gradients overflow and lowers its scale, so there
    only a bad loss counts, or many bad gradients in a row.

    Args:
        max_skipped: Bad updates that are left out, in all, before the run stops.
    """

    priority = 55  # after the losses are read (VERY_HIGH), before the checkpoint

    def __init__(self, max_skipped: Index = 0) -> None:
        self._max_skipped = max_skipped
        self._skipped = self._overflows = 0
        self._steps: list[_Step] = []
        self._statistics = StatisticsGuard()

    def before_train(self, runner: Runner) -> None:
        """Start to watch the steps."""
        self._guard = getattr(runner.optim_wrapper, 'guard', None)
        scaler = getattr(runner.optim_wrapper, 'scaler', None)
        self._scales = scaler is not None and scaler.is_enabled()
        self._holds = bool(self._guard and not self._scales and not self._max_skipped)
        if self._guard:
            self._guard.hold = self._holds

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Keep running statistics, which a bad step would spoil."""
        if self._guard:
            self._statistics.note(_module(runner))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Look at all steps since the last look, when a line is logged.

        Raises:
            FloatingPointError: If a value is not finite.
        """
        updated = not in_cycle(runner)
        self._steps.append(_Step(runner.iter + 1, images_of(data_batch), updated))
        if updated and self._guard and self._guard.bad is not None:
            self._statistics.settle(_module(runner), self._guard.bad)
        if line_is_due(runner, batch_idx):
            self._look(runner)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Look at all steps since the last look, and at the weights.

        Raises:
            FloatingPointError: If a value is not finite; nothing is saved then.
        """
        self._look(runner)
        self.check_weights(checkpoint['state_dict'], checkpoint['meta']['iter'])

    def check_weights(self, state: Mapping[str, Any], step: int) -> None:
        """Look at weights that are about to be saved, or this process's rows of them.

        Args:
            state: By name.
            step: After which they are saved.

        Raises:
            FloatingPointError: If a value is not finite.
        """
        for name, value in state.items():
            value = getattr(value, '_local_tensor', value)
            if not isinstance(value, Tensor) or is_stand_in(value):
                continue
            if not torch.isfinite(value).all():
                raise FloatingPointError(
                    f'{name} is not finite after step {step}, though all losses were; '
                    f'nothing was saved. {_ADVICE}'
                )

    def _look(self, runner: Runner) -> None:
        """Check the steps of complete updates."""
        done = max((i for i, s in enumerate(self._steps, 1) if s.updated), default=0)
        steps, self._steps = self._steps[:done], self._steps[done:]
        counted = False  # in this update
        for step, terms in zip(steps, self._terms(runner, steps), strict=True):
            if bad := self._bad(terms):
                if not counted:
                    self._report(runner, step, terms, bad)
                counted = True
            if step.updated:
                counted = False

    def _terms(self, runner: Runner, steps: list[_Step]) -> list[dict[str, float]]:
        """The losses of each step, and the norm of its gradients if it has one."""
        terms: list[dict[str, float]] = [{} for _ in steps]
        updates = [t for t, step in zip(terms, steps, strict=True) if step.updated]
        for key, history in runner.message_hub.log_scalars.items():
            stage, _, name = key.partition('/')
            values = history.data[0]
            if stage == 'train' and name == 'grad_norm':
                pairs = zip(reversed(updates), values[::-1], strict=False)
            elif stage == 'train' and 'loss' in name:
                values = values[: len(values) - len(self._steps)]
                pairs = zip(reversed(terms), values[::-1], strict=False)
            else:
                continue
            for term, value in pairs:
                term[name] = float(value)
        return terms

    def _bad(self, terms: dict[str, float]) -> list[str]:
        """The terms in which the trouble began."""
        bad = [name for name, value in terms.items() if not math.isfinite(value)]
        if 'grad_norm' in terms:
            self._overflows = self._overflows + 1 if 'grad_norm' in bad else 0
        losses = [name for name in bad if name not in ('loss', 'grad_norm')]
        if losses or 'loss' in bad:
            return losses or ['loss']
        return [] if self._scales and self._overflows <= _HALVINGS else bad

    def _report(
        self, runner: Runner, step: _Step, terms: dict[str, float], bad: list[str]
    ) -> None:
        names = image_names(runner.train_dataloader.dataset, step.images)
        shown = ', '.join(names[:_SHOWN])
        more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
        text = (
            f'{", ".join(bad)} {"are" if len(bad) > 1 else "is"} not finite at step '
            f'{step.number}{f" (images {shown}{more})" if names else ""}'
        )
        if get_world_size() > 1:
            text = f'process {get_rank()}: {text}'
        try:
            path = save_step(runner, step.number, step.images, terms, self._holds)
            text += f'; what it was computed from is in {path}'
        except WriteError as error:
            text += f'; {error}'
        self._skipped += 1
        if self._guard and self._skipped <= self._max_skipped:
            runner.logger.warning(
                f'{text}. Its update is left out: {self._skipped} of at most '
                f'{self._max_skipped}'
            )
            return
        raise FloatingPointError(
            f'{text}. {"The weights are those before it. " * self._holds}{_ADVICE}'
        )


def _module(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
