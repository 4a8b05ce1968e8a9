"""RandAugment on PIL images."""

from PIL import Image
from timm.data.auto_augment import rand_augment_transform

from ccmim.checkpoints.normalization import MEAN
from ccmim.data.transforms import height_width
from ccmim.ranges import Sides
from ccmim.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandAugment:
    """Change a picture by two random operations, as timm does for MAE's fine-tuning.

    Args:
        size: Side of the picture, or (height, width), in pixels; shifts go up to 0.45
            of it. None as of ``RandomResizedCrop``.
        policy: As ``timm.data.rand_augment_transform`` reads it. The default is
            magnitude 9 with a deviation of 0.5.

    Raises:
        ValueError: If ``policy`` is no policy of RandAugment.
    """

    def __init__(
        self, size: Sides | None = 224, policy: str = 'rand-m9-mstd0.5-inc1'
    ) -> None:
        if policy.split('-')[0] != 'rand':
            raise ValueError(f'policy={policy!r} must begin with "rand-", see timm')
        options = dict(
            translate_const=int(max(height_width(size)) * 0.45),
            img_mean=tuple(round(value) for value in MEAN),
            interpolation=Image.Resampling.BICUBIC,
        )
        if 'mmax' not in policy:
            # At 10 timm keeps 0 bits of a channel, which Pillow 13 refuses.
            options['magnitude_max'] = 9.99
        self._change = rand_augment_transform(policy, options)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return a picture of the same size."""
        return self._change(image)
