"""Normalize images where the model is, and grow their size in the course of a run.

B batch, H W image.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

import mmengine.model
import torch
import torch.nn.functional as F
from annotated_types import Len, MinLen
from mmengine.logging import MessageHub
from torch import Tensor

from ccmim.ranges import Count, Index, Ratio, in_epochs
from ccmim.registry import MODELS


@MODELS.register_module()
class ImgDataPreprocessor(mmengine.model.ImgDataPreprocessor):
    """mmengine's, to the bit, with one copy of a batch in place of four.

    In fresh memory a copy takes a CPU longer than the arithmetic.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Bring ``inputs`` (B, 3, H, W) to the device, normalized."""
        data = self.cast_data(data)
        images = data['inputs']
        if not self._is_plain(images):
            return super().forward(data, training)
        copy = images.to(torch.float32, copy=True)
        data['inputs'] = copy.sub_(self.mean).div_(self.std)
        data.setdefault('data_samples', None)
        return data

    def _is_plain(self, images: Any) -> bool:
        # Nothing but to be normalized: one batch, no padding, no other channels.
        return (
            isinstance(images, Tensor)
            and images.dim() == 4
            and self._enable_normalize
            and not self._channel_conversion
            and self.mean.shape[0] in (1, images.shape[1])
            and not any(side % self.pad_size_divisor for side in images.shape[2:])
        )


@MODELS.register_module()
class ProgressiveResize(ImgDataPreprocessor):
    """Normalize images, and make those of the first epochs smaller.

    A step costs about as much as its images have patches. Backbone and decoder resample
    their positions. The size is a function of mmengine's epoch alone, so that a resumed
    run, or a step that is computed again, has the size that it had; the log shows it as
    ``image_size``. Out of training images stay as they are.

    Compiled blocks are compiled anew at the first step of each size, once in a run.

    Args:
        schedule: Pairs (epoch, side): from that epoch on, counted from 0 or as a
            fraction of the run, images are squares of that many pixels a side. The last
            side is that of the crops. Fractions fit a run of any length: one of a
            single epoch, as all runs by iterations are, has the last side throughout.
        patch_size: Side of a patch, of which all sides are multiples.
        kwargs: Arguments of mmengine's ``ImgDataPreprocessor``.

    Raises:
        ValueError: If the schedule does not begin at epoch 0, goes back in time, has
            sides that cannot be cut into patches, or is longer than the run, or if
            images are not square.
    """

    def __init__(
        self,
        schedule: Annotated[
            Sequence[Annotated[Sequence[Index | Ratio], Len(2, 2)]], MinLen(1)
        ],
        patch_size: Count = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        epochs = [epoch for epoch, _ in schedule]
        if epochs[:1] != [0] or any(a >= b for a, b in pairwise(epochs)):
            raise ValueError(
                f'schedule={schedule} must have ascending epochs, the first of them 0'
            )
        for _, side in schedule:
            if side < patch_size or side % patch_size:
                raise ValueError(
                    f'schedule={schedule} has images of side {side}: choose multiples '
                    f'of patch_size={patch_size}'
                )
        self.schedule = schedule

    def side(self, epoch: int, epochs: int) -> int:
        """Return the side of the images in an epoch, counted from 0, of a run's."""
        started = [s for begin, s in self.schedule if in_epochs(begin, epochs) <= epoch]
        return started[-1]

    def resize(self, images: Tensor) -> Tensor:
        """Resize images (B, 3, H, W) to the size of mmengine's current epoch."""
        hub = MessageHub.get_current_instance()
        last = self.schedule[-1][0]
        epochs = hub.get_info('max_epochs', int(last) + 1)
        if in_epochs(last, epochs) >= epochs:
            raise ValueError(
                f'schedule={self.schedule} goes beyond the run: end it before '
                'train_cfg.max_epochs, and train by epochs (EpochBasedTrainLoop)'
            )
        height, width = images.shape[-2:]
        if height != width:
            raise ValueError(
                f'ProgressiveResize makes squares, and these images are {height} x '
                f'{width}: crop squares, and do not stack views'
            )
        side = self.side(hub.get_info('epoch', 0), epochs)
        hub.update_scalar('train/image_size', side)
        return shrink(images, side)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Bring ``inputs`` (B, 3, H, W) to the device, normalized and of their size."""
        data = super().forward(data, training)
        if training:
            data['inputs'] = self.resize(data['inputs'])
        return data


def shrink(images: Tensor, side: int) -> Tensor:
    """Resize images (B, 3, H, W) to squares (B, 3, side, side), bicubic, antialiased.

    Images of that size are returned as they are.
    """
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode='bicubic', antialias=True)
