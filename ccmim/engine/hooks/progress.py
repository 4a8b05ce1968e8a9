"""Speed of a run, and a progress bar in place of log lines."""

import atexit
import logging
import os
import re
import resource
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from ccmim.registry import HOOKS

# What the bar says itself: the lines of steps, and the name of the run at times.
_SAID = re.compile(r'(Epoch|Iter)\((train|val|test)\).* eta: |Exp name: ')
_WINDOW = 10  # steps that values are averaged over, as in the log


@HOOKS.register_module()
class ProgressHook(Hook):
    """Show a bar in a terminal; the lines of steps go to the log file alone.

    Steps done and to do, the time left, images a second, losses, learning rate, memory
    and the fraction of time spent waiting for data; in validation and tests as well.
    Other messages appear above the bar. Without a terminal, under ``CI`` and in all
    processes but the first, everything is printed as mmengine does. Losses are those of
    the last line of the log, so that no step waits for the device.
    """

    priority = 58  # before the logger, whose first line the bar replaces

    def __init__(self) -> None:
        self._live: Live | None = None
        self._handlers: list[logging.StreamHandler] = []
        self._tasks: dict[str, Any] = {}
        self._facts = ''

    def after_run(self, runner: Runner) -> None:
        """Take the bar away."""
        self._stop()

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = 'train',
    ) -> None:
        # From the first step on: what is wrong with the settings is known then.
        if self._live is None:
            if not (is_main_process() and is_terminal()):
                return
            self._start(runner.logger)
        if mode == 'train':
            done, total = runner.iter + 1, runner.max_iters
            self._facts = facts(runner.message_hub.log_scalars)
        else:
            done, total = batch_idx + 1, len(getattr(runner, f'{mode}_dataloader'))
        if mode not in self._tasks:
            self._tasks[mode] = self._progress.add_task(mode, total=None, left='')
        left = timedelta(seconds=int(runner.message_hub.get_info('eta', 0)))
        self._progress.update(self._tasks[mode], completed=done, total=total, left=left)

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if mode != 'train' and mode in self._tasks:
            self._progress.remove_task(self._tasks.pop(mode))

    def _start(self, logger: logging.Logger) -> None:
        self._progress = Progress(
            TextColumn('{task.description:5}'),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('{task.percentage:.0f} %'),
            TextColumn('{task.fields[left]} left'),
        )
        self._tasks = {}
        self._live = Live(
            console=Console(highlight=False),
            get_renderable=self._render,
            refresh_per_second=4,
        )
        self._handlers = [
            handler
            for handler in logger.handlers
            if type(handler) is logging.StreamHandler and handler.stream is sys.stdout
        ]
        self._live.start()
        for handler in self._handlers:
            handler.setStream(sys.stdout)  # which now prints above the bar
            handler.addFilter(_is_news)
        atexit.register(self._stop)  # a run that fails gives the cursor back

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is None:
            return
        live.stop()
        for handler in self._handlers:
            handler.setStream(sys.stdout)
            handler.removeFilter(_is_news)
        atexit.unregister(self._stop)

    def _render(self) -> Group:
        return Group(self._progress, Text(self._facts, no_wrap=True, overflow='crop'))


def is_terminal() -> bool:
    """Return whether a bar can be drawn: on a terminal that is not CI's."""
    dumb = os.environ.get('TERM') == 'dumb'
    return sys.stdout.isatty() and not dumb and not os.environ.get('CI')


def facts(scalars: Mapping[str, HistoryBuffer]) -> str:
    """Summarize the state of the training in a line.

    Args:
        scalars: What the log knows, by name; reading it waits for no device.
    """
    words = []
    if 'train/loss' in scalars:
        words.append(f'loss {scalars["train/loss"].mean(_WINDOW):.4g}')
        terms = [
            f'{key.removeprefix("train/").replace("loss_", "")} '
            f'{scalars[key].mean(_WINDOW):.3g}'
            for key in scalars
            if key.startswith('train/') and 'loss' in key and key != 'train/loss'
        ]
        words += [f'({", ".join(terms)})'] if len(terms) > 1 else []
    for key in ('train/base_lr', 'train/lr'):  # of layers that learn at the full rate
        if key in scalars:
            words.append(f'lr {scalars[key].current():.2e}')
            break
    if 'train/images_per_second' in scalars:
        words.append(f'{scalars["train/images_per_second"].current():.1f} img/s')
        words.append(f'waiting {scalars["train/loader_ratio"].current():.0%}')
    return '  '.join([*words, f'{_memory() / 2**30:.1f} GiB'])


def _memory() -> int:
    """Bytes in use: of the GPU with what PyTorch keeps, else the process's peak."""
    if torch.cuda.is_available():
        return torch.cuda.memory_reserved()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _is_news(record: logging.LogRecord) -> bool:
    return not _SAID.match(record.getMessage())


@HOOKS.register_module()
class SpeedHook(Hook):
    """Log images per second of all processes, and the fraction of time spent waiting.

    ``loader_ratio`` near 0: the network is the bottleneck. Far from 0: the loader is;
    give it more workers or smaller files (``tools/shrink_images.py``).
    """

    priority = 55  # after the timer (NORMAL), before the logger (BELOW_NORMAL)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Divide a step's images by its time, and the waiting by it: of ten steps."""
        hub = runner.message_hub
        if 'train/time' not in hub.log_scalars:  # there is no timer
            return
        seconds = hub.get_scalar('train/time').mean(10)
        images = len(data_batch['inputs']) * get_world_size()
        hub.update_scalar('train/images_per_second', images / seconds)
        waited = hub.get_scalar('train/data_time').mean(10)
        hub.update_scalar('train/loader_ratio', waited / seconds)
