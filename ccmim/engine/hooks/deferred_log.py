"""Log losses without synchronizing with the device at every step."""

from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from ccmim.registry import HOOKS

_WITHOUT_LOGGER = 50


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """Keep what a step returned on the device until a line is logged.

    mmengine reads every loss of every step, and each reading waits until the device has
    caught up. Here the values of all steps since the last line are read at once, before
    the logger or a checkpoint looks at them: the log is the same.
    """

    def __init__(self) -> None:
        self._pending: list[dict[str, Any]] = []

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Keep the step's values; read all that are kept when a line is due."""
        values = dict(outputs or {})
        norm = getattr(runner.optim_wrapper, 'take_grad_norm', lambda: None)()
        if norm is not None:
            values['grad_norm'] = norm
        self._pending.append(values)
        if line_is_due(runner, batch_idx):
            self._read(runner)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Read what is kept, and put the history into the checkpoint once more."""
        self._read(runner)
        # mmengine copied it before it asked the hooks.
        history = runner.message_hub.state_dict()['log_scalars']
        checkpoint['message_hub']['log_scalars'] = history

    def _read(self, runner: Runner) -> None:
        pending, self._pending = self._pending, []
        tensors = [
            value.detach().reshape(()).float()
            for values in pending
            for value in values.values()
            if isinstance(value, Tensor)
        ]
        numbers = iter(torch.stack(tensors).tolist() if tensors else ())
        for values in pending:
            for key, value in values.items():
                number = next(numbers) if isinstance(value, Tensor) else value
                runner.message_hub.update_scalar(f'train/{key}', number)


def line_is_due(runner: Runner, batch_idx: int) -> bool:
    """Return whether the logger may write a line after this step of the loader."""
    logger = next((h for h in runner.hooks if isinstance(h, LoggerHook)), None)
    if logger is None:  # reads now and then, so that little is kept
        return (runner.iter + 1) % _WITHOUT_LOGGER == 0
    return (
        logger.every_n_inner_iters(batch_idx, logger.interval)
        or logger.end_of_epoch(runner.train_dataloader, batch_idx)
        or logger.is_last_train_iter(runner)
    )
