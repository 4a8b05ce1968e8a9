"""Check what has changed when a run resumes, and keep its position in the data."""

import logging
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

import ccmim
from ccmim.checkpoints import ResumeError
from ccmim.engine.resume.data_record import (
    compare_lists,
    contents,
    fingerprint,
    image_list,
    looked_at,
    name_of,
    write_list,
)
from ccmim.engine.resume.differences import (
    DATA,
    allow_option,
    is_allowed,
    log_resume,
    refuse_differences,
    take_settings,
)
from ccmim.engine.resume.optimizer_state import bare, num_states, parameter_names
from ccmim.engine.resume.position import Steps, convert_position, steps_of
from ccmim.engine.resume.schedules import is_changed, values_of, wind_forward
from ccmim.engine.resume.state import frozen_digests
from ccmim.engine.settings.processes import on_main
from ccmim.engine.version import this_version
from ccmim.registry import HOOKS

KEY = 'ccmim'  # of our part of a checkpoint's meta


@HOOKS.register_module()
class ResumeHook(Hook):
    """Record in each checkpoint what a resumed run must match, and compare on resume.

    Another number of processes, images a process or accumulated steps: the run
    continues at the image that it had reached, and its schedule is counted in the new
    steps. Where no step begins at that image the run is refused.

    A setting that decides the numbers and is not the checkpoint's ends the run, unless
    the config names it, or a part that it is in, in ``resume_changed``. A parameter or
    a piece of the optimizer's state of another name, shape or type always does.

    Other images have another order, in which a position means nothing: where 'data' is
    in ``resume_changed`` the epoch begins anew.

    Another schedule in the config takes the place of the one of the checkpoint.
    """

    def __init__(self) -> None:
        self._names: bytes | None = None
        self._contents: torch.Tensor | None = None
        self._record: dict[str, Any] = {}
        self._start: list[dict[str, Any]] = []

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare, and count the checkpoint's steps as this run does.

        Raises:
            ResumeError: If the run cannot resume like this.
        """
        if not runner._resume:
            return
        meta = checkpoint['meta']
        saved = meta.get(KEY) or {}
        changed = refuse_differences(runner, checkpoint, saved)
        self._describe(runner)
        step, same = meta['iter'], True
        if saved:
            meta['iter'] = self._compare(runner, meta, saved)
            same = meta['iter'] == step
        if any(key.startswith('optim_wrapper') for key in changed):
            take_settings(runner, checkpoint['optimizer'])
        schedulers, states = runner.param_schedulers, checkpoint.get('param_schedulers')
        if not isinstance(schedulers, list):
            return
        if not isinstance(states, list) or is_changed(schedulers, states):
            checkpoint.pop('param_schedulers', None)
            self._start = values_of(runner.optim_wrapper)
            if same:  # not only counted in other steps
                log_resume(
                    runner,
                    'The schedule is not that of the checkpoint: the run continues as '
                    "if it had had the config's from the start",
                    logging.WARNING,
                )

    def before_train(self, runner: Runner) -> None:
        """Take a new schedule to where the run is; list the images in the work dir.

        Raises:
            WriteError: If the disk is full.
        """
        self._describe(runner)
        if self._start:
            before = runner.optim_wrapper.param_groups[0]['lr']
            wind_forward(
                runner.param_schedulers,
                runner.optim_wrapper,
                self._start,
                runner.iter,
                runner.epoch,
                self._steps(runner).length,
            )
            now = runner.optim_wrapper.param_groups[0]['lr']
            text = f'the learning rate continues at {now:.3g}, after {before:.3g}'
            log_resume(runner, text)
        if self._names is not None and is_main_process():
            write_list(runner.work_dir, self._names)
            self._names = None

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Add what a resumed run compares with."""
        checkpoint['meta'][KEY] = dict(
            self._record,
            contents=self._contents,
            parameters=parameter_names(runner),
            states=num_states(checkpoint),
            build=this_version(),
        )

    def _describe(self, runner: Runner) -> None:
        if self._record:
            return
        dataset = runner.train_dataloader.dataset
        self._names = image_list(dataset)
        if is_main_process():
            self._contents = contents(dataset)
        self._record = dict(
            self._steps(runner)._asdict(),
            names=fingerprint(self._names),
            version=ccmim.__version__,
            frozen=frozen_digests(bare(runner)),
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
        """Report what differs; return the step of this run to resume at."""
        old = Steps(*(saved[name] for name in Steps._fields))
        new = self._steps(runner)
        epoch, step = meta['epoch'], meta['iter']
        if saved['version'] != ccmim.__version__:
            log_resume(runner, f'ccmim {saved["version"]} -> {ccmim.__version__}')
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch:  # in its own steps first: a finished run takes none
            convert_position(epoch, step, old, old)
        if (old.images, saved['names']) != (new.images, self._record['names']):
            self._accept_data(runner, self._difference(runner, old, new), step)
            if not by_epoch:
                return step
            log_resume(runner, f'epoch {epoch + 1} begins anew', logging.WARNING)
            return epoch * new.length
        if text := on_main(lambda: self._other_contents(runner, saved.get('contents'))):
            self._accept_data(runner, text, step)
        if old == new:
            return step
        text = f'{old} -> {new}: '
        # Without epochs there is no length that must be the same.
        same_length = old.length == new.length or not by_epoch
        if old.global_batch == new.global_batch and same_length:
            log_resume(
                runner,
                f'{text}the order of the images is kept; masks and noise are drawn by '
                'each process, and so are others from here on',
            )
            return step
        if not by_epoch:
            raise ResumeError(
                f'{text}a run that is counted in iterations keeps its position only '
                f'with {old.global_batch} images a step: set train_dataloader.'
                f'batch_size to {old.global_batch / new.processes:g}'
            )
        converted = convert_position(epoch, step, old, new)
        seen = (converted - epoch * new.length) * new.global_batch
        log_resume(
            runner,
            f'{text}the position in the data is kept: epoch {epoch + 1}, {seen:,} of '
            f'{new.images:,} images; step {step} is now called {converted}',
            logging.WARNING,
        )
        return converted

    def _difference(self, runner: Runner, old: Steps, new: Steps) -> str:
        if self._names is None:
            return f'{old.images:,} -> {new.images:,}'
        return compare_lists(runner.work_dir, self._names)

    def _other_contents(self, runner: Runner, saved: torch.Tensor | None) -> str | None:
        """Describe which images have changed under the same name (main process)."""
        now = self._contents
        if now is None or saved is None or now.shape != saved.shape:
            return None
        dataset = runner.train_dataloader.dataset
        other = looked_at(dataset)[(now != saved.to(now.device)).cpu().numpy()]
        if not len(other):
            return None
        names = ', '.join(name_of(dataset, index) for index in other[:2].tolist())
        more = ', ...' * (len(other) > 2)
        return (
            f'{len(other):,} of {len(now):,} images are others under their old names, '
            f'or have other labels ({names}{more})'
        )

    def _accept_data(self, runner: Runner, difference: str, step: int) -> None:
        text = f'The data set has changed since step {step}: {difference}'
        if not is_allowed(DATA, runner):
            raise ResumeError(
                f'{text}. Restore it, or start again in another --work-dir; or '
                'continue with another order of the images: '
                f'--cfg-options {allow_option(runner, [DATA])}'
            )
        log_resume(runner, text, logging.WARNING)
