"""Strong color augmentation of a whole batch on its device.

B batch, H W image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.checkpoints.normalization import MEAN, STD
from ccmim.ranges import Channels, Ratio, Spreads
from ccmim.registry import MODELS

_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
_REACH = 6  # pixels of the blur to each side: three times the largest sigma


@MODELS.register_module()
class ColorPerturbation(nn.Module):
    """Jitter, gray, blur and solarise each image of a batch by draws of its own.

    What ConMIM does to the images of its keys, with two liberties: the jitter's four
    steps have a fixed order, and the hue turns in YIQ space, where brightness stays.

    Args:
        brightness: Greatest relative change of brightness.
        contrast: Greatest relative change of contrast.
        saturation: Greatest relative change of saturation.
        hue: Greatest shift of the hue, in turns.
        jitter_prob: How often these four are changed.
        gray_prob: How often color is removed.
        blur_prob: How often the image is blurred, with a sigma of 0.1 to 2 pixels.
        solarize_prob: How often pixels above one half are inverted.
        mean: What the data preprocessor subtracts, by channel, in 0..255.
        std: What it divides by, by channel.
    """

    def __init__(
        self,
        brightness: Ratio = 0.4,
        contrast: Ratio = 0.4,
        saturation: Ratio = 0.2,
        hue: Ratio = 0.1,
        jitter_prob: Ratio = 0.8,
        gray_prob: Ratio = 0.2,
        blur_prob: Ratio = 0.1,
        solarize_prob: Ratio = 0.2,
        mean: Channels = MEAN,
        std: Spreads = STD,
    ) -> None:
        super().__init__()
        self.probs = dict(
            jitter_prob=jitter_prob,
            gray_prob=gray_prob,
            blur_prob=blur_prob,
            solarize_prob=solarize_prob,
        )
        self.strengths = brightness, contrast, saturation, hue
        channels = torch.tensor([mean, std])[:, :, None, None] / 255
        self.register_buffer('statistics', channels, persistent=False)
        self.register_buffer('yiq', torch.tensor(_YIQ), persistent=False)
        self.register_buffer('rgb', torch.linalg.inv(self.yiq), persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Change normalized images (B, 3, H, W); no gradient."""
        mean, std = self.statistics
        draws = torch.rand((9, len(images)), device=images.device)
        change, size, happens = draws[:4] * 2 - 1, draws[4] * 1.9 + 0.1, draws[5:]
        steps = (
            lambda x: self._jitter(x, change),
            lambda x: self._gray(x).expand_as(x),
            lambda x: _blur(x, size),
            lambda x: torch.where(x < 0.5, x, 1 - x),
        )
        with torch.autocast(images.device.type, enabled=False):
            x = images * std + mean
            for step, prob, draw in zip(
                steps, self.probs.values(), happens, strict=True
            ):
                if prob:
                    x = torch.where(_each(draw < prob), step(x), x)
            return (x - mean) / std

    def _jitter(self, x: Tensor, change: Tensor) -> Tensor:
        bright, contrast, saturation, hue = (
            _each(draw * strength)
            for draw, strength in zip(change, self.strengths, strict=True)
        )
        x = ((1 + bright) * x).clamp(0, 1)
        middle = self._gray(x).mean(dim=(2, 3), keepdim=True)
        x = (middle + (1 + contrast) * (x - middle)).clamp(0, 1)
        gray = self._gray(x)
        x = (gray + (1 + saturation) * (x - gray)).clamp(0, 1)
        cos, sin = (hue * 2 * torch.pi).cos(), (hue * 2 * torch.pi).sin()
        y, i, q = torch.einsum('kc,bchw->bkhw', self.yiq.to(x), x).split(1, dim=1)
        turned = torch.cat([y, cos * i - sin * q, sin * i + cos * q], dim=1)
        return torch.einsum('ck,bkhw->bchw', self.rgb.to(x), turned).clamp(0, 1)

    def _gray(self, x: Tensor) -> Tensor:
        return (x * self.yiq[0, :, None, None]).sum(dim=1, keepdim=True)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _blur(x: Tensor, sigma: Tensor) -> Tensor:
    # Each image has a kernel of its own: the batch is laid into the channels.
    distance = torch.arange(-_REACH, _REACH + 1, device=x.device)
    kernel = (-0.5 * (distance / sigma[:, None]).square()).softmax(dim=1).to(x.dtype)
    kernel = kernel.repeat_interleave(x.shape[1], dim=0)[:, None]
    flat = F.pad(x, [_REACH] * 4, mode='reflect').flatten(0, 1)[None]
    flat = F.conv2d(flat, kernel[:, :, :, None], groups=len(kernel))
    flat = F.conv2d(flat, kernel[:, :, None, :], groups=len(kernel))
    return flat.reshape(x.shape)
