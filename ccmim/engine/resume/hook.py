"""A resumed run says what is different, and keeps its place in the data."""

import logging
from typing import Any

from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

import ccmim
from ccmim.checkpoints import ResumeError
from ccmim.engine.resume.data_record import (
    compare_lists,
    fingerprint,
    image_list,
    write_list,
)
from ccmim.engine.resume.place import Steps, convert_place, steps_of
from ccmim.engine.resume.schedule_place import is_changed, values_of, wind_forward
from ccmim.registry import HOOKS

KEY = 'ccmim'  # of our part of a checkpoint's meta


@HOOKS.register_module()
class ResumeHook(Hook):
    """Note in each checkpoint what its run goes on from, and compare on resume.

    Another number of processes, images a process or accumulated steps: the run goes on
    at the image that it had reached, and its schedule is counted in the new steps.
    Where no step begins at that image the run is refused.

    Other images have another order, in which a place means nothing. They are refused
    unless the config says ``resume_changed_data = True``; the epoch begins anew then.

    Another schedule in the config takes the place of the one of the checkpoint.
    """

    def __init__(self) -> None:
        self._names: bytes | None = None
        self._record: dict[str, Any] = {}
        self._start: list[dict[str, Any]] = []

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare, and count the checkpoint's steps as this run does.

        Raises:
            ResumeError: If the run cannot go on like this.
        """
        if not runner._resume:
            return
        self._describe(runner)
        meta = checkpoint['meta']
        step, same = meta['iter'], True
        if saved := meta.get(KEY):
            meta['iter'] = self._compare(runner, meta, saved)
            same = meta['iter'] == step
        schedulers, states = runner.param_schedulers, checkpoint.get('param_schedulers')
        if not (isinstance(schedulers, list) and isinstance(states, list)):
            return
        if is_changed(schedulers, states):
            del checkpoint['param_schedulers']
            self._start = values_of(runner.optim_wrapper)
            if same:  # not only counted in other steps
                _say(
                    runner,
                    'The schedule is not that of the checkpoint: the run goes on as if '
                    "it had had the config's from the start",
                    logging.WARNING,
                )

    def before_train(self, runner: Runner) -> None:
        """Take a new schedule to where the run is; list the images in the work dir.

        Raises:
            WriteError: If the disk is full.
        """
        self._describe(runner)
        if self._start:
            wind_forward(
                runner.param_schedulers,
                runner.optim_wrapper,
                self._start,
                runner.iter,
                runner.epoch,
                self._steps(runner).length,
            )
        if self._names is not None and is_main_process():
            write_list(runner.work_dir, self._names)
            self._names = None

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Add what a resumed run compares with."""
        checkpoint['meta'][KEY] = self._record

    def _describe(self, runner: Runner) -> None:
        if self._record:
            return
        self._names = image_list(runner.train_dataloader.dataset)
        self._record = dict(
            self._steps(runner)._asdict(),
            names=fingerprint(self._names),
            version=ccmim.__version__,
        )
        records = all_gather_object(self._record)
        for rank, record in enumerate(records):
            if record != records[0]:
                raise ResumeError(
                    f'process {rank} has {record["images"]:,} images and process 0 has '
                    f'{records[0]["images"]:,}, or others: all need the same data set, '
                    'in which each finds its share'
                )

    def _steps(self, runner: Runner) -> Steps:
        accumulated = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        return steps_of(runner.train_dataloader, get_world_size(), accumulated)

    def _compare(
        self, runner: Runner, meta: dict[str, Any], saved: dict[str, Any]
    ) -> int:
        """Say what differs; the step of this run that the checkpoint's becomes."""
        old = Steps(*(saved[name] for name in Steps._fields))
        new = self._steps(runner)
        epoch, step = meta['epoch'], meta['iter']
        if saved['version'] != ccmim.__version__:
            _say(runner, f'ccmim {saved["version"]} -> {ccmim.__version__}')
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if (old.images, saved['names']) != (new.images, self._record['names']):
            self._accept_data(runner, old, new, step)
            if not by_epoch:
                return step
            _say(runner, f'epoch {epoch + 1} begins anew', logging.WARNING)
            return epoch * new.length
        if old == new:
            return step
        text = f'{old} -> {new}: '
        # Without epochs there is no length that must be the same.
        same_length = old.length == new.length or not by_epoch
        if old.global_batch == new.global_batch and same_length:
            _say(
                runner,
                f'{text}the order of the images is kept; masks and noise are drawn by '
                'each process, and so are others from here on',
            )
            return step
        if not by_epoch:
            raise ResumeError(
                f'{text}a run that is counted in iterations keeps its place only with '
                f'{old.global_batch} images a step: set train_dataloader.batch_size to '
                f'{old.global_batch / new.processes:g}'
            )
        converted = convert_place(epoch, step, old, new)
        seen = (converted - epoch * new.length) * new.global_batch
        _say(
            runner,
            f'{text}the place in the data is kept: epoch {epoch + 1}, {seen:,} of '
            f'{new.images:,} images; step {step} is now called {converted}',
            logging.WARNING,
        )
        return converted

    def _accept_data(self, runner: Runner, old: Steps, new: Steps, step: int) -> None:
        if self._names is None:
            difference = f'{old.images:,} -> {new.images:,}'
        else:
            difference = compare_lists(runner.work_dir, self._names)
        text = f'The data set has changed since step {step}: {difference}'
        if not runner.cfg.get('resume_changed_data', False):
            raise ResumeError(
                f'{text}. Restore it, or start again in another --work-dir; or go on '
                'with another order of the images: '
                '--cfg-options resume_changed_data=True'
            )
        _say(runner, text, logging.WARNING)


def _say(runner: Runner, text: str, level: int = logging.INFO) -> None:
    runner.logger.log(level, f'Resuming: {text}')
