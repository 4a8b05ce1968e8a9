"""The position of a run in its data, for any number of images per step."""

from typing import NamedTuple

from torch.utils.data import DataLoader

from ccmim.checkpoints import ResumeError


class Steps(NamedTuple):
    """How a run goes through its data.

    Attributes:
        processes: How many take part.
        batch: Images of one process in one step.
        accumulated: Steps of one update.
        images: In the data set.
        length: Steps of an epoch.
    """

    processes: int
    batch: int
    accumulated: int
    images: int
    length: int

    @property
    def global_batch(self) -> int:
        """Images of all processes in one step."""
        return self.processes * self.batch

    def __str__(self) -> str:
        """Format the factors in their order."""
        return (
            f'{self.batch} images a process x {self.processes} processes '
            f'x {self.accumulated} accumulated'
        )


def steps_of(loader: DataLoader, processes: int, accumulated: int) -> Steps:
    """Read from a data loader how it goes through the data; 0 for what has no end."""
    batch = loader.batch_size or loader.batch_sampler.batch_size
    ends = hasattr(loader.dataset, '__len__')
    images, length = (len(loader.dataset), len(loader)) if ends else (0, 0)
    return Steps(processes, batch, accumulated, images, length)


def convert_position(epoch: int, step: int, old: Steps, new: Steps) -> int:
    """Find the step of a run at which it has seen the images that another has.

    Args:
        epoch: Of the other run, from 0; the same in both.
        step: Of the other run, from the very start.
        old: How the other run goes through the data.
        new: How this one does, in the same order.

    Returns:
        Its step, from the very start.

    Raises:
        ResumeError: If no step of this run is there.
    """
    done = step - epoch * old.length
    if not 0 <= done <= old.length:
        raise ResumeError(
            f'the checkpoint is at step {step} in epoch {epoch + 1}, which has steps '
            f'{epoch * old.length} to {(epoch + 1) * old.length}: it is of no whole '
            'run, use an earlier one'
        )
    if done == old.length:
        return (epoch + 1) * new.length
    seen = done * old.global_batch
    if seen % new.global_batch:
        raise ResumeError(
            f'the checkpoint is after image {seen:,} of epoch {epoch + 1}, which is no '
            f'multiple of {new.batch} images x {new.processes} processes: its position '
            'in the data cannot be kept. Resume from the end of an epoch, or choose '
            f'train_dataloader.batch_size so that the product divides {seen:,}'
        )
    return epoch * new.length + seen // new.global_batch
