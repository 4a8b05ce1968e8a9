"""A row of the benchmark: its name, and how it is run."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.inputs import Feed


class Label(NamedTuple):
    """What distinguishes a row from the others.

    Attributes:
        level: 'step' (bare model), 'trainer' (the steps of a training run) or 'files'
            (those, fed from image files).
        size: Letter of the Vision Transformer.
        batch_size: Images a step.
        code: 'ours', 'published' (the authors'), 'mmpretrain'; with ' A/A' once more.
        method: Such as 'ccmim' or 'ccmim score3'; 'loader' for the data loader alone.
        precision: 'fp32', 'tf32', 'bf16', or 'shipped' for what the code itself sets.
    """

    level: str
    size: str
    batch_size: int
    code: str
    method: str
    precision: str

    @property
    def group(self) -> tuple[str, str, int]:
        """What two rows must share to be compared."""
        return self.level, self.size, self.batch_size


class Contender(NamedTuple):
    """Something that is timed.

    Attributes:
        label: Its name.
        train: Runs one step on every batch of the iterator that it is given.
        feed: Opens the source of batches, outside the time that is measured.
        loss: Computes the loss of a uint8 batch (B, 3, H, W) as ``train`` does; None
            where what it saves for the backward pass is not to be counted.
        flops: Floating-point operations an image that the algorithm needs, if known.
        state: Tensors that live between the steps.
    """

    label: Label
    train: Callable[[Iterator[Any]], None]
    feed: Feed
    loss: Callable[[Tensor], Tensor] | None = None
    flops: float | None = None
    state: Callable[[], Iterable[Tensor]] = tuple


def training_state(model: nn.Module, optimizer: Optimizer) -> Iterator[Tensor]:
    """List weights, buffers, present gradients and the optimizer's state."""
    yield from model.buffers()
    for parameter in model.parameters():
        yield parameter
        if parameter.grad is not None:
            yield parameter.grad
    for state in optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))


def reference_of(label: Label, labels: Iterable[Label]) -> Label:
    """Choose what a row is compared with.

    Returns:
        The first published row of the same level, size and batch size, else the first
        row of these.
    """
    group = [other for other in labels if other.group == label.group]
    published = [other for other in group if other.code == 'published']
    return (published or group)[0]


def exact_of(label: Label) -> Label | None:
    """Name the exact row that an option of ccMIM changes; None for other rows."""
    method, _, option = label.method.partition(' ')
    return label._replace(method=method) if option else None
