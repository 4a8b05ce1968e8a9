"""Anchors: what patches know of each other stays as it was at the start.

Training on photos of one's own wears the dense features of good weights down. Both
anchors hold on to relations between the patches of an image alone, so that features
may continue to change together. B batch, N patches, D width.
"""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from ccmim.losses.cosine import products, unit
from ccmim.ranges import Index, NonNegative
from ccmim.registry import MODELS
from ccmim.teachers import FrozenStart


@MODELS.register_module()
class GramAnchor(nn.Module):
    """Keep the cosines between the patches of an image (DINOv3, arXiv 2508.10104).

    weight * mean over images and pairs of (G - G0)^2, where G holds the cosines of the
    normed tokens of the network in training and G0 those of the network at the start.
    Costs a second pass of all patches, and one without a gradient.

    Args:
        backbone: The Vision Transformer in training; a method gives its own.
        weight: Factor of the loss, at least 0.
        keep_negative: Whether patches that are unlike count; else cosines below 0 are
            set to 0 on both sides.
        scale: Enlargement of the images that the frozen network sees, at least 1. Its
            maps are brought to the grid of the other by bicubic interpolation, which
            makes them smoother.
        renew_interval: Steps after which the frozen network takes over the weights of
            the other; 0 for never.
    """

    def __init__(
        self,
        backbone: nn.Module,
        weight: NonNegative = 10.0,
        keep_negative: bool = True,
        scale: Annotated[float, Ge(1)] = 1.0,
        renew_interval: Index = 0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.keep_negative = keep_negative
        self.start = FrozenStart(backbone, scale, renew_interval)

    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Compute the weighted loss of normalized images (B, 3, H, W): a scalar."""
        ours, theirs = _patches(backbone, images), self.start(backbone, images)
        return self.weight * gram_distance(ours, theirs, self.keep_negative)


@MODELS.register_module()
class KernelAnchor(nn.Module):
    """Keep the linear kernel of the patches of an image (PaKA, arXiv 2509.05606).

    weight * (1 - CKA), the centered kernel alignment between the normed tokens of the
    network in training and those of the network at the start, mean over images. Unlike
    the Gram anchor it lets all features of an image grow and move by a common vector.
    PaKA compares local crops with an averaged teacher behind heads; this is its loss on
    the features themselves, of the same pixels.

    Args:
        backbone: The Vision Transformer in training; a method gives its own.
        weight: Factor of the loss, at least 0.
        scale: As in `GramAnchor`.
        renew_interval: As in `GramAnchor`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        weight: NonNegative = 1.0,
        scale: Annotated[float, Ge(1)] = 1.0,
        renew_interval: Index = 0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.start = FrozenStart(backbone, scale, renew_interval)

    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Compute the weighted loss of normalized images (B, 3, H, W): a scalar."""
        ours, theirs = _patches(backbone, images), self.start(backbone, images)
        return self.weight * (1 - kernel_alignment(ours, theirs)).mean()


def gram_distance(x: Tensor, y: Tensor, keep_negative: bool = True) -> Tensor:
    """Compare the cosines between tokens.

    Args:
        x: Tokens of shape (B, N, D).
        y: Tokens of shape (B, N, E); no gradient needs to come here.
        keep_negative: Whether cosines below 0 count as they are, or as 0.

    Returns:
        Mean of the squared differences over images and pairs, a scalar in [0, 4].
    """
    grams = [products(unit(tokens), unit(tokens)) for tokens in (x, y)]
    if not keep_negative:
        grams = [gram.clamp(min=0) for gram in grams]
    return F.mse_loss(*grams)


def kernel_alignment(x: Tensor, y: Tensor) -> Tensor:
    """Measure how alike two sets of tokens are, up to rotation, scale and shift.

    Args:
        x: Tokens of shape (B, N, D).
        y: Tokens of shape (B, N, E).

    Returns:
        Linear CKA of each image, in [0, 1], of shape (B,).
    """
    # Of centered tokens the kernel is centered. Norms of 1e-6 and less count as that.
    kernels = [
        products(*[t - t.mean(1, keepdim=True)] * 2) for t in (_wide(x), _wide(y))
    ]
    dot = (kernels[0] * kernels[1]).sum((1, 2))
    norms = [k.square().sum((1, 2)).clamp(min=1e-6).sqrt() for k in kernels]
    return dot / (norms[0] * norms[1])


def _patches(backbone: Any, images: Tensor) -> Tensor:
    return backbone.encode(backbone.embed(images))[:, 1:]


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
