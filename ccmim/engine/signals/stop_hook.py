"""Save a checkpoint before stopping on a signal."""

import os
import signal
import threading
import time
from datetime import timedelta
from types import FrameType
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from torch import distributed

from ccmim.engine.hooks.checkpoint import SafeCheckpointHook, in_cycle
from ccmim.engine.signals.worker_signals import (
    end_idle_workers,
    ignore_signals_in_workers,
)
from ccmim.ranges import Count
from ccmim.registry import HOOKS

# Slurm warns with SIGUSR1: the job is over in order, and may be started again.
EXIT_CODES = {
    signal.SIGINT: 130,
    signal.SIGUSR1: 0,
    signal.SIGTERM: 143,
    signal.SIGHUP: 129,
}
# What comes before the run can save waits until it can (tools/train.py, torchrun.py).
HELD = (signal.SIGUSR1, signal.SIGHUP)
_TIMEOUT = 600  # seconds, where the config gives none
_IMPATIENT = 1.0  # launchers repeat a signal of the terminal at once


def exit_code(number: int) -> int:
    """Return the exit code of a run that was stopped by a signal."""
    if number == signal.SIGTERM and 'SLURM_JOB_ID' in os.environ:
        return 0
    return EXIT_CODES[signal.Signals(number)]


def release_signals() -> None:
    """Unblock the signals that were held back during startup."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


@HOOKS.register_module()
class StopHook(Hook):
    """On SIGTERM, SIGUSR1, SIGHUP and Ctrl-C finish the step, save and exit.

    The exit codes are 143, 0, 129 and 130; in a job of Slurm, which ends with SIGTERM
    what it will start again, that of SIGTERM is 0 as well. A hang-up that is ignored
    (nohup) stays so. A second signal ends the process at once.

    Several processes must stop at the same step. They ask each other on the host,
    through gloo, so that no one waits for a GPU; and not at every step, as that would
    let each of them wait for the slowest host.

    Args:
        interval: Steps from one question to the next, where there are several
            processes. One process looks at every step, which costs nothing.
    """

    priority = 95  # after the checkpoint hook (VERY_LOW)

    def __init__(self, interval: Count = 10) -> None:
        self._interval = interval
        self._asked = 0
        self._asked_at = 0.0
        self._agreed = 0
        self._group: Any = None
        self._before: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Catch the signals from here on.

        Raises:
            ValueError: If no hook of the run can save at any step.
        """
        kinds = [h for h in runner.hooks if isinstance(h, CheckpointHook)]
        if kinds and not any(isinstance(h, SafeCheckpointHook) for h in kinds):
            raise ValueError(
                'StopHook needs default_hooks.checkpoint.type=ccmim.SafeCheckpointHook'
            )
        if get_world_size() > 1:
            settings = (runner.cfg.get('env_cfg') or {}).get('dist_cfg') or {}
            seconds = timedelta(seconds=settings.get('timeout', _TIMEOUT))
            self._group = distributed.new_group(backend='gloo', timeout=seconds)
        ignore_signals_in_workers(runner.train_dataloader)
        if runner.val_loop is not None:  # its workers may wait through the training
            ignore_signals_in_workers(runner.val_loop.dataloader)
        if threading.current_thread() is threading.main_thread():
            caught = [n for n in EXIT_CODES if signal.getsignal(n) != signal.SIG_IGN]
            self._before = {n: signal.signal(n, self._note) for n in caught}
            release_signals()

    def before_train_epoch(self, runner: Runner) -> None:
        """Block SIGTERM while loader workers start; they inherit this."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Unblock it again: the workers have started."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Save and exit if a signal has come.

        Raises:
            SystemExit: With the code of the signal.
        """
        if not self._agreed:
            self._agreed = self._ask(runner)
        if not self._agreed or in_cycle(runner) or self.is_last_train_iter(runner):
            return
        savers = [h for h in runner.hooks if isinstance(h, SafeCheckpointHook)]
        if savers:
            saved = f'saved {savers[0].save_after_iter(runner)}. To resume, give the '
            saved += 'same command with --resume'
        else:
            saved = 'nothing was saved, as default_hooks.checkpoint is None'
        if self._group:
            # A launcher ends the others as soon as one process is gone.
            distributed.barrier(self._group)
        runner.logger.info(
            f'Stopped by {signal.Signals(self._agreed).name} after step '
            f'{runner.iter + 1}: {saved}'
        )
        runner.call_hook('after_run')
        raise SystemExit(exit_code(self._agreed))

    def after_train(self, runner: Runner) -> None:
        """Restore the signal handlers, and end idle loader workers."""
        end_idle_workers(runner.train_dataloader, runner.train_loop)
        if runner.val_loop is not None:
            end_idle_workers(runner.val_loop.dataloader)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked and time.monotonic() - self._asked_at > _IMPATIENT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if not self._asked:
            self._asked, self._asked_at = number, time.monotonic()

    def _ask(self, runner: Runner) -> int:
        """The signal that any process has got, 0 for none."""
        if not self._group:
            return self._asked
        if not self.every_n_train_iters(runner, self._interval):
            return 0
        asked = torch.tensor(self._asked)
        distributed.all_reduce(asked, distributed.ReduceOp.MAX, group=self._group)
        return int(asked)
