"""Anchors: losses that preserve the patch similarities of the initial weights.

Training on photos of one's own wears the dense features of good weights down. Both
anchors hold on to relations between the patches of an image alone, so that features
may continue to change together. B batch, N patches, V visible, D width.
"""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from ccmim.losses.cosine import products, unit
from ccmim.masking import take
from ccmim.ranges import Index, NonNegative
from ccmim.registry import MODELS
from ccmim.teachers import FrozenStart


class Anchor(nn.Module):
    """What both anchors share: the network at the start, and which patches count.

    A frozen pass of whole images, and either a second pass of all patches by the
    network in training, or, with ``visible_only``, the patches that the method has
    encoded anyway: with a quarter visible about a third of the cost, but patches
    are compared that have seen different parts of the image.

    Args:
        backbone: The Vision Transformer in training.
        weight: Factor of the loss.
        visible_only: Whether only the visible patches of a masked image count.
        scale: See ``FrozenStart``.
        renew_interval: Likewise.
    """

    def __init__(
        self,
        backbone: nn.Module,
        weight: float,
        visible_only: bool,
        scale: float,
        renew_interval: int,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.visible_only = visible_only
        self.start = FrozenStart(backbone, scale, renew_interval)

    def forward(self, backbone: Any, images: Tensor) -> Tensor:
        """Compute the weighted loss of normalized images (B, 3, H, W): a scalar."""
        ours = backbone.encode(backbone.embed(images))[:, 1:]
        return self.weight * self.distance(ours, self.start(backbone, images))

    def of_visible(
        self, backbone: nn.Module, images: Tensor, tokens: Tensor, ids: Tensor
    ) -> Tensor:
        """Compute the weighted loss of the patches that a masking has left.

        Args:
            backbone: The network in training.
            images: Normalized images of shape (B, 3, H, W).
            tokens: What the network made of the visible patches, (B, V, D), normed.
            ids: Which patches these are, (B, V).

        Returns:
            A scalar.
        """
        theirs = take(self.start(backbone, images), ids)
        return self.weight * self.distance(tokens, theirs)

    def distance(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Compare patches (B, n, D) with what they were at the start: a scalar."""
        raise NotImplementedError


@MODELS.register_module()
class GramAnchor(Anchor):
    """Keep the cosines between the patches of an image (DINOv3, arXiv 2508.10104).

    weight * mean over images and pairs of (G - G0)^2, where G holds the cosines of the
    normed tokens of the network in training and G0 those of the network at the start.

    Args:
        backbone: The Vision Transformer in training; a method gives its own.
        weight: Factor of the loss, at least 0.
        keep_negative: Whether patches that are unlike count; else cosines below 0 are
            set to 0 on both sides.
        visible_only: Whether only the visible patches of a masked image count, which
            saves the second pass of all of them; see ``Anchor``.
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
        visible_only: bool = False,
        scale: Annotated[float, Ge(1)] = 1.0,
        renew_interval: Index = 0,
    ) -> None:
        super().__init__(backbone, weight, visible_only, scale, renew_interval)
        self.keep_negative = keep_negative

    def distance(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Compare cosines; see ``gram_distance``."""
        return gram_distance(ours, theirs, self.keep_negative)


@MODELS.register_module()
class KernelAnchor(Anchor):
    """Keep the linear kernel of the patches of an image (PaKA, arXiv 2509.05606).

    weight * (1 - CKA), the centered kernel alignment between the normed tokens of the
    network in training and those of the network at the start, mean over images. Unlike
    the Gram anchor it lets all features of an image grow and move by a common vector.
    PaKA compares local crops with an averaged teacher behind heads; this is its loss on
    the features themselves, of the same pixels.

    Args:
        backbone: The Vision Transformer in training; a method gives its own.
        weight: Factor of the loss, at least 0.
        visible_only: As in `GramAnchor`.
        scale: As in `GramAnchor`.
        renew_interval: As in `GramAnchor`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        weight: NonNegative = 1.0,
        visible_only: bool = False,
        scale: Annotated[float, Ge(1)] = 1.0,
        renew_interval: Index = 0,
    ) -> None:
        super().__init__(backbone, weight, visible_only, scale, renew_interval)

    def distance(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Compare kernels; see ``kernel_alignment``."""
        return (1 - kernel_alignment(ours, theirs)).mean()


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
    # Of centered tokens the kernel is centered. Squared norms below 1e-6 count as that.
    kernels = [
        products(*[t - t.mean(1, keepdim=True)] * 2) for t in (_wide(x), _wide(y))
    ]
    dot = (kernels[0] * kernels[1]).sum((1, 2))
    norms = [k.square().sum((1, 2)).clamp(min=1e-6).sqrt() for k in kernels]
    return dot / (norms[0] * norms[1])


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
