"""Where the object of an image is, learned from other images of its class.

B batch, N patches, D width, P partners.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.losses.cosine import products
from ccmim.ranges import Count, NonNegative
from ccmim.registry import MODELS
from ccmim.vit import draw_linear


@MODELS.register_module()
class ObjectExtent(nn.Module):
    """Predict how much each patch resembles other images of its class.

    The object-extent learning of LIO (https://arxiv.org/abs/2003.14142): a patch is of
    the object as far as the partners of its image, which are of the same class, have a
    patch like it, and a linear layer learns to see that in the image alone.

    The published code compares products of what a ReLU has left; the tokens of a ViT
    are brought to mean 0 and variance 1 instead, so that a product over D is a
    correlation. It also orders its batch so that images of other classes are compared;
    here labels say who belongs together.

    Args:
        in_dim: Width D of the patches.
        partners: Most images P that one is compared with, those that follow it.
        through_target: Whether the gradient flows through what is to be predicted too,
            as published.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        in_dim: Count = 768,
        partners: Count = 3,
        through_target: bool = False,
        weight: NonNegative = 0.1,
    ) -> None:
        super().__init__()
        self.partners = partners
        self.through_target = through_target
        self.weight = weight
        self.layer = nn.Linear(in_dim, 1)
        self.apply(draw_linear)

    def forward(self, patches: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict extents and compare them.

        Args:
            patches: Of shape (B, N, D).
            labels: Classes (B,).

        Returns:
            The extents (B, N), about 0 where nothing is alike and 1 at most; the
            weighted loss, a scalar, to which images without a partner add nothing; and
            the fraction of images that have one.
        """
        patches = standardize(patches)
        with torch.set_grad_enabled(self.through_target and torch.is_grad_enabled()):
            target, has_partner = likeness(patches, labels, self.partners)
        extent = self.layer(patches)[..., 0].to(patches.dtype)
        error = (extent - target).square() * has_partner[:, None]
        return extent, self.weight * error.mean(), has_partner.float().mean()


def likeness(patches: Tensor, labels: Tensor, partners: int) -> tuple[Tensor, Tensor]:
    """Compute how like the patches of an image are to those of its class.

    Args:
        patches: Of shape (B, N, D).
        labels: Classes (B,).
        partners: Most images of the class that one is compared with: the next ones in
            the batch, in which the first follows the last.

    Returns:
        The mean over partners of the greatest product with one of their patches, over
        D, of shape (B, N), 0 without a partner; and which images have one, (B,).
    """
    count, width = len(labels), patches.shape[2]
    number = torch.arange(count, device=labels.device)
    steps = (number - number[:, None]) % count  # from each image on to each other one
    foreign = (labels != labels[:, None]) | (steps == 0)
    nearest = steps.masked_fill(foreign, count).sort(dim=1)
    ids = nearest.indices[:, :partners]  # (B, P)
    real = (nearest.values[:, :partners] < count).to(patches.dtype)  # (B, P)
    others = patches[ids].flatten(1, 2)  # (B, P * N, D)
    alike = products(patches, others).unflatten(2, (ids.shape[1], -1)) / width
    best = alike.amax(dim=3)  # (B, N, P)
    mean = (best * real[:, None]).sum(dim=2) / real.sum(dim=1).clamp(min=1)[:, None]
    return mean, real.any(dim=1)


def standardize(patches: Tensor) -> Tensor:
    """Normalize each patch (..., D) to mean 0 and variance 1, in float32 at least."""
    wide = patches.to(torch.promote_types(patches.dtype, torch.float32))
    return F.layer_norm(wide, wide.shape[-1:])
