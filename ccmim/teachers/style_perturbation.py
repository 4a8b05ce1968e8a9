"""Style transfer between the images of a batch, on its device.

B batch, H W image.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ccmim.checkpoints.normalization import MEAN, STD
from ccmim.ranges import Channels, Ratio, Spreads
from ccmim.registry import MODELS

_LEAST = 1e-4  # spread, of a range of 1, below which an image is flat


@MODELS.register_module()
class StylePerturbation(nn.Module):
    """Keep what an image shows, and take how it looks from another one of the batch.

    DRIT (https://arxiv.org/abs/1808.00948) splits images into content and attributes
    and swaps the attributes. Its networks are not here: the attributes are what simple
    statistics say of them, and the content is the rest.

    Args:
        attributes: 'statistics' for the mean and the spread of each channel (adaptive
            instance normalization, https://arxiv.org/abs/1703.06868, of pixels);
            'frequencies' for the amplitudes of the low frequencies, under the phases
            that the image has (https://arxiv.org/abs/2004.05498).
        prob: How often an image takes another one's style.
        strength: Greatest share of the other's attributes. Each image draws its own
            share, uniformly from 0 on.
        low_ratio: Frequencies, in cycles a pixel from 0 to one half, that count as low,
            in units of one half: 0.1, as when None, is periods of at least 20 pixels.
        mean: What the data preprocessor subtracts, by channel, in 0..255.
        std: What it divides by, by channel.

    Raises:
        ValueError: If ``low_ratio`` is set beside 'statistics', which have none.
    """

    def __init__(
        self,
        attributes: Literal['statistics', 'frequencies'] = 'statistics',
        prob: Ratio = 0.8,
        strength: Ratio = 1.0,
        low_ratio: Ratio | None = None,
        mean: Channels = MEAN,
        std: Spreads = STD,
    ) -> None:
        super().__init__()
        if attributes == 'statistics' and low_ratio is not None:
            raise ValueError(
                f"low_ratio={low_ratio} is of attributes='frequencies': leave it out"
            )
        low = 0.1 if low_ratio is None else low_ratio
        self.restyle = dict(
            statistics=_swap_statistics,
            frequencies=partial(_swap_frequencies, low=low),
        )[attributes]
        self.prob = prob
        self.strength = strength
        channels = torch.tensor([mean, std])[:, :, None, None] / 255
        self.register_buffer('statistics', channels, persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Change normalized images (B, 3, H, W); no gradient.

        Each image gives its style to one other and has that of one other; a lone image
        stays as it is. Pixels beyond black and white are cut.
        """
        mean, std = self.statistics
        noise = torch.rand((3, len(images)), device=images.device)
        ring = noise[0].argsort()
        partner = torch.empty_like(ring).scatter_(0, ring, ring.roll(1))
        ratio = noise[1] * self.strength * (noise[2] < self.prob)
        with torch.autocast(images.device.type, enabled=False):
            x = images * std + mean
            ratio = ratio.to(x.dtype)[:, None, None, None]
            styled = self.restyle(x, x[partner], ratio).clamp(0, 1)
            # A share of 0 leaves the bits as they are.
            return torch.where(ratio > 0, (styled - mean) / std, images)


def _swap_statistics(x: Tensor, other: Tensor, ratio: Tensor) -> Tensor:
    """Move mean and spread of x's channels a share of the way to the other's."""
    own_std, own_mean = torch.std_mean(x, dim=(2, 3), keepdim=True)
    std, mean = torch.std_mean(other, dim=(2, 3), keepdim=True)
    mean = torch.lerp(own_mean, mean, ratio)
    std = torch.lerp(own_std, std, ratio)
    return (x - own_mean) * (std / own_std.clamp(min=_LEAST)) + mean


def _swap_frequencies(x: Tensor, other: Tensor, ratio: Tensor, low: float) -> Tensor:
    """Move the low frequencies' amplitudes a share of the way to the other's."""
    spectrum, others = torch.fft.rfft2(x), torch.fft.rfft2(other).abs()
    rows = torch.fft.fftfreq(x.shape[2], device=x.device).abs()[:, None]
    columns = torch.fft.rfftfreq(x.shape[3], device=x.device)
    is_low = torch.maximum(rows, columns) <= 0.5 * low
    own = spectrum.abs()
    moved = torch.polar(torch.lerp(own, others, ratio), spectrum.angle())
    return torch.fft.irfft2(torch.where(is_low, moved, spectrum), s=x.shape[2:])
