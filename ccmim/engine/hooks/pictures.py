"""Save pictures of masks and predictions during training."""

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import MinLen
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from PIL import Image
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.data import SampleKey, seeded
from ccmim.data.paths import RUN_PICTURES
from ccmim.ranges import Count, Index
from ccmim.registry import HOOKS

FOLDER = RUN_PICTURES  # of the work dir


@HOOKS.register_module()
class PictureHook(Hook):
    """Draw the same training images every few epochs, and at the end.

    ``pictures/epoch_N.png`` in the work dir, and the visualizer (TensorBoard, ...), get
    what ``ccmim.pictures.method_sheet`` draws, always of the same parts of the images.
    The main process draws alone, without gradient, in evaluation mode and from
    generators of its own, so the training is the same to the last bit. What goes wrong
    is one warning; the run continues without pictures, or without them in a tracker.

    Args:
        interval: Epochs from one picture to the next.
        images: How many images, taken evenly from the whole set, or their numbers.
    """

    priority = 'VERY_LOW'  # after checkpoints are written

    def __init__(
        self,
        interval: Count = 10,
        images: Count | Annotated[Sequence[Index], MinLen(1)] = 4,
    ) -> None:
        self.interval = interval
        self.images = images
        self._inputs: Tensor | None = None
        self._works = self._tracked = True

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        """Draw if it is time."""
        due = self.every_n_epochs(runner, self.interval)
        if self._works and (due or self.is_last_train_epoch(runner)):
            try:
                self._draw(runner)
            except Exception as error:  # pictures are worth no run
                self._works = False
                runner.logger.warning(
                    f'No more pictures of this run: {_describe(error)}'
                )

    def _draw(self, runner: Runner) -> None:
        method = runner.model
        if is_model_wrapper(method):
            if not isinstance(method, DistributedDataParallel):
                # One process alone would wait for the others for ever.
                raise ValueError('the model is spread over the processes')
            method = method.module
        from ccmim.pictures import method_sheet  # loads matplotlib

        epoch = runner.epoch + 1
        with undisturbed(method):
            if self._inputs is None:
                self._inputs = self._read(runner.train_dataloader.dataset)
            name, length = type(method).__name__, runner.max_epochs
            caption = f'{name} after epoch {epoch} of {length}.'
            sheet = method_sheet(method, self._inputs, caption=caption)
        path = Path(runner.work_dir) / FOLDER / f'epoch_{epoch}.png'
        AtomicLocalBackend().put(_png(sheet), path)
        if self._tracked:
            self._track(runner, sheet, epoch)

    def _track(self, runner: Runner, sheet: np.ndarray, epoch: int) -> None:
        try:
            runner.visualizer.add_image(FOLDER, sheet, step=epoch)
        except Exception as error:  # MLflow wants a file's name, which mmengine lacks
            self._tracked = False
            runner.logger.warning(
                f'Pictures are in {runner.work_dir}/{FOLDER} alone: {_describe(error)}'
            )

    def _read(self, data: Any) -> Tensor:
        numbers = self.images
        if isinstance(numbers, int):
            numbers = np.linspace(0, len(data) - 1, min(numbers, len(data))).round()
        samples = [data[SampleKey(0, 0, int(number))] for number in numbers]
        return torch.stack([sample['inputs'] for sample in samples])


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Use a model in evaluation mode, and leave no trace in the training.

    Modes of all its parts and all random generators are as before afterwards; inside,
    the generators always begin alike. Nothing is compiled for the shapes that come.

    Args:
        model: On the device of the training.
    """
    modes = [(module, module.training) for module in model.modules()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with seeded(SampleKey(0, 0, 0)), torch.random.fork_rng(devices), _uncompiled():
        if devices:
            torch.cuda.manual_seed(0)
        try:
            model.eval()
            yield
        finally:
            for module, training in modes:
                module.training = training


def _uncompiled() -> AbstractContextManager:
    stance = getattr(torch.compiler, 'set_stance', None)  # PyTorch 2.6 or later
    return nullcontext() if stance is None else stance('force_eager')


def _describe(error: Exception) -> str:
    first_line = str(error).strip().split('\n')[0]
    return f'{type(error).__name__}: {first_line}'


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # The default takes three times as long for a sixth less.
    Image.fromarray(picture).save(buffer, 'png', compress_level=1)
    return buffer.getvalue()
