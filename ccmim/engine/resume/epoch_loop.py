"""An epoch-based training loop that resumes within an epoch."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader

from ccmim.checkpoints import ResumeError
from ccmim.data.loader_errors import require_batch
from ccmim.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Train by epochs, from any step of one.

    mmengine begins the epoch again that a checkpoint was saved in: images are seen
    twice, and the run ends too late. Here the batches that were used are left out,
    without loading them.

    Args:
        runner: The run.
        dataloader: A data loader or its config.
        kwargs: Arguments of mmengine's ``EpochBasedTrainLoop``.

    Raises:
        ValueError: If the images are too few for a batch.
    """

    def __init__(
        self, runner: Runner, dataloader: DataLoader | dict, **kwargs: Any
    ) -> None:
        super().__init__(runner, dataloader, **kwargs)
        require_batch(self.dataloader)
        self._batches = _LaterBatches(self.dataloader.batch_sampler)
        # A loader refuses this through its own __setattr__. Nothing has started yet.
        object.__setattr__(self.dataloader, 'batch_sampler', self._batches)

    def run_epoch(self) -> None:
        """Train the rest of the current epoch.

        Raises:
            ResumeError: If the checkpoint's epochs have another number of steps.
        """
        length = len(self.dataloader)
        done = self._iter - self._epoch * length
        if not 0 <= done <= length:
            raise ResumeError(
                f'the checkpoint is at step {self._iter} in epoch {self._epoch + 1}, '
                f'but an epoch has {length} steps: resume with the images, batch size '
                'and number of processes that the run began with'
            )
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self._batches.skip = done
        for idx, data_batch in enumerate(self.dataloader, done):
            self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


class _LaterBatches:
    """A batch sampler that leaves out its first batches."""

    def __init__(self, batches: BatchSampler) -> None:
        self._all = batches
        self.skip = 0

    def __iter__(self) -> Iterator[list]:
        return islice(self._all, self.skip, None)

    def whole(self) -> Iterator[list]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all, name)
