"""Record that a run has started to train."""

from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner


class StartHook(Hook):
    """Record whether the first step has begun; end a run that has nothing left to do.

    What goes wrong before the first step is in the settings or the data, what goes
    wrong later is not.

    Attributes:
        runner: The run, as soon as it is about to train.
        started: Whether the first step has begun.
        after_first_step: Called when the first step is done, before it can be saved.
    """

    priority = 'LOW'  # before checkpoints are written

    def __init__(self) -> None:
        self.runner: Runner | None = None
        self.started = False
        self.after_first_step: list[Callable[[], None]] = []

    def before_train(self, runner: Runner) -> None:
        """End a run that was resumed at its end.

        Raises:
            SystemExit: With code 0, if no step is left.
        """
        self.runner = runner
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            done, all_, unit = loop.epoch, loop.max_epochs, 'epochs'
        else:
            done, all_, unit = loop.iter, loop.max_iters, 'steps'
        if done >= all_:
            runner.logger.info(
                f'{runner.work_dir} is already finished ({done} of {all_} {unit})'
            )
            raise SystemExit(0)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Record that the first step has begun."""
        self.started = True

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Make the calls that wait for a step."""
        calls, self.after_first_step = self.after_first_step, []
        for call in calls:
            call()

    def before_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Record that the first step has begun."""
        self.started = True
