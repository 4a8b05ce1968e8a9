"""Checkpoints that replace older ones only after verification."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ccmim.checkpoints.resume import POINTER
from ccmim.checkpoints.shards import remove_checkpoint
from ccmim.checkpoints.verify import verify_archive
from ccmim.data.paths import RUN_PICTURES
from ccmim.files import PART, WriteError, remove
from ccmim.registry import HOOKS

_STEP = re.compile(r'\d+(_iter_\d+)?')  # of the name of a checkpoint


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Save, verify, point ``last_checkpoint`` to it, and only then delete.

    mmengine deletes the oldest checkpoint, or the old best one, first: a full disk or a
    kill may leave none. Gradients that wait for an update are in no checkpoint, so one
    that is due in the middle of an accumulation cycle is written at the cycle's end.

    Args:
        kwargs: Arguments of mmengine's ``CheckpointHook``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._due = False
        if '{}' not in self.filename_tmpl:
            raise ValueError(
                f'filename_tmpl={self.filename_tmpl!r} must have one {{}} for the '
                'epoch or step: each checkpoint would replace the one before it'
            )

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder; delete what a killed writer left there."""
        # From a checkpoint, thus data: mmengine would delete whatever file it names.
        known = runner.message_hub.runtime_info
        if 'keep_ckpt_ids' in known:
            kept = [s for s in known['keep_ckpt_ids'] if _STEP.fullmatch(str(s))]
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        super().before_train(runner)
        self._set_best({key: self._here(old) for key, old in self._best().items()})
        if is_main_process():
            pictures = Path(runner.work_dir, RUN_PICTURES)
            for folder in (Path(self.out_dir), Path(runner.work_dir), pictures):
                for part in [*folder.glob(f'.*{PART}'), *folder.glob(f'{PART}.*')]:
                    remove(part)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Save every ``interval`` steps, and what was put off."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval, self.save_begin)
            or (self.save_last and self.is_last_train_iter(runner))
        ):
            self._due = True
        if self._due and not in_cycle(runner):
            step = runner.epoch if self.by_epoch else runner.iter + 1
            self._save(runner, step, dict(epoch=runner.epoch, iter=runner.iter + 1))

    def after_train_epoch(self, runner: Runner) -> None:
        """Save every ``interval`` epochs."""
        if not self.by_epoch:
            return
        if self.every_n_epochs(runner, self.interval, self.save_begin) or (
            self.save_last and self.is_last_train_epoch(runner)
        ):
            self._due = True
        if self._due and not in_cycle(runner):
            step = runner.epoch + 1
            self._save(runner, step, dict(epoch=step, iter=runner.iter))

    def keep_best(self, key: str) -> None:
        """Keep the checkpoint with the greatest value, unless another one is kept.

        Args:
            key: Of the value. To be called before the training begins.
        """
        if not self.save_best:
            self.save_best, self.best_ckpt_path = [key], None
            self.is_better_than = {}
            self._init_rule(['greater'], self.save_best)

    def wants(self, metrics: dict[str, Any]) -> bool:
        """Whether the best checkpoint is chosen by one of some values."""
        return bool(self.save_best) and not metrics.keys().isdisjoint(self.save_best)

    def save_after_iter(self, runner: Runner) -> str:
        """Save between two regular checkpoints, at the end of a step.

        Args:
            runner: Not in the middle of an accumulation cycle.

        Returns:
            Path of the checkpoint.
        """
        done = runner.iter + 1
        step = f'{runner.epoch}_iter_{done}' if self.by_epoch else done
        self._save(runner, step, dict(epoch=runner.epoch, iter=done))
        return str(self.last_ckpt)

    def _save(self, runner: Runner, step: int | str, meta: dict[str, int]) -> None:
        self._due = False
        runner.logger.info(f'Saving checkpoint {self.filename_tmpl.format(step)}')
        with self._naming_the_last(runner):
            self._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if not self.save_best:
            return
        before = self._best()
        self._set_best(dict.fromkeys(before))  # mmengine shall delete nothing
        with self._naming_the_last(runner):
            super()._save_best_checkpoint(runner, metrics)
        now = self._best()
        self._set_best({key: now[key] or before[key] for key in before})
        for key, old in before.items():
            if is_main_process() and old and now[key] and old != now[key]:
                self._verify(now[key])
                self._remove(old)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int | str, meta: dict[str, int]
    ) -> None:
        if in_cycle(runner):  # a new best one
            self._due = True
            return
        kept = [s for s in getattr(self, 'keep_ckpt_ids', ()) if s != step]
        kept.append(step)
        outdated = kept[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._finish(runner, outdated)

    @contextmanager
    def _naming_the_last(self, runner: Runner) -> Iterator[None]:
        last = self.last_ckpt or (runner._resume and runner._load_from)
        try:
            yield
        except WriteError as error:
            last = (
                f'the last good checkpoint is {last}' if last else 'there is none yet'
            )
            raise WriteError(f'{error}; {last}') from None

    @master_only
    def _finish(self, runner: Runner, outdated: list[int | str]) -> None:
        self._verify(self.last_ckpt)
        pointer = self.file_backend.join_path(runner.work_dir, POINTER)
        self.file_backend.put_text(self.last_ckpt, pointer)
        for step in outdated:
            name = self.filename_tmpl.format(step)
            self._remove(self.file_backend.join_path(self.out_dir, name))

    def _verify(self, path: str) -> None:
        if isinstance(self.file_backend, LocalBackend):
            verify_archive(path)

    def _remove(self, path: str) -> None:
        if isinstance(self.file_backend, LocalBackend):
            remove_checkpoint(path)
        elif self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _best(self) -> dict[str, str | None]:
        """Path of the best checkpoint by each indicator, None before the first."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict[str, str | None]) -> None:
        if len(paths) == 1:
            (self.best_ckpt_path,) = paths.values()
        elif paths:
            self.best_ckpt_path_dict = paths

    def _here(self, path: str | None) -> str | None:
        """The same file in this folder: the run may have moved since."""
        return path and self.file_backend.join_path(self.out_dir, Path(path).name)


def in_cycle(runner: Runner) -> bool:
    """Return whether gradients wait for an update at the end of this step."""
    return not runner.optim_wrapper.should_update()
