"""Contrast between images and their captions.

n pairs of a process, C channels of the projection, L words, R processes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.losses.cosine import products, unit
from ccmim.losses.gather import gather_constant, gather_with_grad, rank
from ccmim.precision import no_grad
from ccmim.ranges import Positive
from ccmim.registry import MODELS


@MODELS.register_module()
class ImageTextContrast(nn.Module):
    """Find the caption of an image among those of all processes, and the reverse.

    The loss of CLIP and FLIP (https://arxiv.org/abs/2212.00794): the mean of the cross
    entropies of both ways, of cosines times a scale that is learned. Gradients flow
    through both sides on all processes. Equal captions have equal vectors: a target
    that is spread over all their images has the same loss.

    Args:
        temperature: One over the scale at first.
        largest_scale: Where the scale is cut.
    """

    def __init__(
        self, temperature: Positive = 0.07, largest_scale: Positive = 100.0
    ) -> None:
        super().__init__()
        # Of one dimension, as what is sharded must be.
        self.log_scale = nn.Parameter(torch.tensor([-math.log(temperature)]))
        self.limit = math.log(largest_scale)

    def forward(
        self, images: Tensor, texts: Tensor, words: Tensor
    ) -> dict[str, Tensor]:
        """Compute the loss of this process.

        Args:
            images: Projections of this process's images, of shape (n, C).
            texts: Those of their captions, of shape (n, C).
            words: The captions, as numbers of words, of shape (n, L).

        Returns:
            ``loss_contrast``, a scalar of at least float32, log(R * n) when all
            projections are alike; ``top1_of_batch``, the fraction of images whose own
            caption, or an equal one, is the nearest; and ``scale``.
        """
        with no_grad():
            self.log_scale.clamp_(0, self.limit)
        every = gather_constant(words)
        own = torch.arange(len(words), device=words.device) + len(words) * rank()
        same = (words[:, None] == every).all(dim=2)  # (n, R * n)
        images, texts = unit(images), unit(texts)
        scale = self.log_scale.exp()
        by_image = scale * products(images, gather_with_grad(texts))
        by_text = scale * products(texts, gather_with_grad(images))
        loss = F.cross_entropy(by_image, own) + F.cross_entropy(by_text, own)
        nearest = by_image.argmax(dim=1, keepdim=True)
        return dict(
            loss_contrast=loss / 2,
            top1_of_batch=same.gather(1, nearest).float().mean(),
            scale=scale.detach(),
        )
