"""A run whose losses or weights are no numbers any more stops and says since when."""

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ccmim.registry import HOOKS
from ccmim.training.deferred_log import line_is_due


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop at a NaN or infinite loss, gradient norm or weight, before it is saved.

    Losses and gradient norms are looked at when they are read for the log anyway, so
    steps that log nothing wait for nothing; the first bad step is still named. Weights
    are looked at when they are on the host, on their way into a checkpoint: they can
    be bad one step after all losses were good.

    fp16 skips the steps whose gradients overflow, so there the norm is not looked at.
    """

    priority = 55  # after the losses are read (VERY_HIGH), before the checkpoint

    def before_train(self, runner: Runner) -> None:
        """Look at the steps from here on."""
        self._next = runner.iter

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
        if line_is_due(runner, batch_idx):
            self._look(runner, runner.iter + 1)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Look at all steps since the last look, and at the weights.

        Raises:
            FloatingPointError: If a value is not finite; nothing is saved then.
        """
        self._look(runner, checkpoint['meta']['iter'])
        for name, value in checkpoint['state_dict'].items():
            if isinstance(value, torch.Tensor) and not torch.isfinite(value).all():
                raise FloatingPointError(
                    f'{name} is not finite after step {checkpoint["meta"]["iter"]}, '
                    f'though all losses were; {_ADVICE}'
                )

    def _look(self, runner: Runner, done: int) -> None:
        new, first = done - self._next, self._next
        self._next = done
        scaler = getattr(runner.optim_wrapper, 'scaler', None)
        overflows = scaler is not None and scaler.is_enabled()
        bad = []
        for key, history in runner.message_hub.log_scalars.items():
            stage, _, name = key.partition('/')
            looked_at = 'loss' in name or (name == 'grad_norm' and not overflows)
            if stage != 'train' or not looked_at:
                continue
            values = history.data[0][-new:] if new else ()
            steps = np.flatnonzero(~np.isfinite(values))
            if len(steps):
                # A sum comes after its terms: the name says where it began.
                bad.append((first + 1 + steps[0], name == 'loss', name))
        if bad:
            step, _, name = min(bad)
            raise FloatingPointError(f'{name} is not finite at step {step}; {_ADVICE}')


_ADVICE = (
    'stopped before a checkpoint was written. Resume from the last one with a lower '
    'learning rate, clipped gradients or float32'
)
