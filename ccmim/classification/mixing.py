"""Batch augmentation: erasing, mixup, cutmix, label smoothing.

B batch, H W image, C classes.
"""

import torch.nn.functional as F
from timm.data import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor, nn

from ccmim.ranges import Count, NonNegative, Ratio, RatioBelowOne
from ccmim.registry import MODELS


@MODELS.register_module()
class BatchMixing(nn.Module):
    """Erase parts of images and mix images and labels, by timm; all off by default.

    It runs on the device on normalized images, with random numbers of the step.

    Args:
        num_classes: Number of classes C.
        mixup: Alpha of mixup, at least 0; 0 for none.
        cutmix: Alpha of cutmix, at least 0; 0 for none. With both, each batch has one
            of them, chosen at random.
        label_smoothing: Fraction of a label that is spread over all classes, in [0, 1).
        erase_prob: How often a rectangle of an image is replaced by noise, in [0, 1].
    """

    def __init__(
        self,
        num_classes: Count,
        mixup: NonNegative = 0.0,
        cutmix: NonNegative = 0.0,
        label_smoothing: RatioBelowOne = 0.0,
        erase_prob: Ratio = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.erase_prob = erase_prob
        self._mix = None
        if mixup or cutmix:
            self._mix = Mixup(
                mixup, cutmix, label_smoothing=label_smoothing, num_classes=num_classes
            )

    @property
    def mixes(self) -> bool:
        """Whether images get parts of others."""
        return self._mix is not None

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Change a batch.

        Args:
            images: Normalized images (B, 3, H, W); left as they are.
            labels: Classes (B,) in [0, C).

        Returns:
            Images (B, 3, H, W), and the fraction of each class in each, (B, C).

        Raises:
            ValueError: If B is odd, as images are mixed in pairs.
        """
        if self.erase_prob:
            erase = RandomErasing(self.erase_prob, mode='pixel', device=images.device)
            images = erase(images.clone())
        if self._mix is None:
            smooth = self.label_smoothing
            ones = F.one_hot(labels, self.num_classes)
            return images, ones * (1 - smooth) + smooth / self.num_classes
        if len(images) % 2:
            raise ValueError(
                f'mixup and cutmix need an even batch, got {len(images)}: set '
                'train_dataloader.batch_size to an even number and drop_last to True'
            )
        return self._mix(images.clone(), labels)
