"""Shared parts of frozen teachers: fixed weights, normalized features."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Frozen(nn.Module):
    """Hold a network that is used but never trained, in evaluation mode for good.

    It follows to another device or precision, but it is no child: optimizers,
    checkpoints and distributed training do not see it.

    Args:
        network: The network; changed in place.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._held = (network.eval().requires_grad_(False),)

    @property
    def network(self) -> nn.Module:
        """The network itself."""
        return self._held[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'Frozen':
        self.network._apply(fn, recurse)
        return super()._apply(fn, recurse)


class Renormalize(nn.Module):
    """Bring normalized images to the normalization of another network.

    Args:
        mean: What the data preprocessor has subtracted, by channel, in 0..255.
        std: What it has divided by, by channel.
        default_cfg: ``mean`` and ``std`` of the other network, for pixels in 0..1.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], default_cfg: Mapping
    ) -> None:
        super().__init__()
        scale, shift = [], []
        for ours, spread, theirs, wide in zip(
            mean, std, default_cfg['mean'], default_cfg['std'], strict=True
        ):
            scale.append(spread / 255 / wide)
            shift.append((ours / 255 - theirs) / wide)
        # Recorded statistics are rounded differently: 123.675 / 255 is 0.485.
        self.same = all(abs(x - 1) < 1e-5 for x in scale) and all(
            abs(x) < 1e-5 for x in shift
        )
        for name, values in (('scale', scale), ('shift', shift)):
            tensor = torch.tensor(values)[:, None, None]
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Renormalize images (B, 3, H, W)."""
        return images if self.same else images * self.scale + self.shift


def normalize_features(features: Tensor, eps: float = 1e-6) -> Tensor:
    """Normalize each feature vector (..., C) to zero mean and unit biased variance."""
    return F.layer_norm(features, features.shape[-1:], eps=eps)


def resize_images(images: Tensor, size: list[int]) -> Tensor:
    """Resize images (B, 3, H, W), bicubic and antialiased."""
    if list(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size, mode='bicubic', antialias=True)


def require_weights(has_weights: bool, otherwise: str) -> None:
    """Refuse to train from a teacher that knows nothing.

    Raises:
        ValueError: If it has no weights; ``otherwise`` completes the remedy.
    """
    if not has_weights:
        raise ValueError(
            f'teacher.checkpoint is not set: give the file of its weights, {otherwise}'
        )
