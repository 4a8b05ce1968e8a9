"""SimCLR: contrast of two views of an image."""

from typing import Any

import torch
from torch import Tensor

from ccmim.losses import gather_with_grad
from ccmim.losses.gather import rank
from ccmim.methods.base import Prediction, PretrainMethod, show_views
from ccmim.ranges import Part, Parts
from ccmim.registry import MODELS


@MODELS.register_module()
class SimCLR(PretrainMethod):
    """Contrast the class tokens of two views (https://arxiv.org/abs/2002.05709).

    The other views of all processes are the negatives, with gradient, and batch norm
    sees them all, so that many processes compute what one would. The published network
    is a ResNet; of the ViT the class token is projected.

    Args:
        backbone: Config of the Vision Transformer.
        perturbation: Config of what changes the colors of the views, or a list of
            what is done in turn; an empty one leaves them as they are.
        projector: Config of the projector of class tokens.
        contrast: Config of the loss.
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.
    """

    num_views = 2

    def __init__(
        self,
        backbone: Part,
        perturbation: Parts,
        projector: Part,
        contrast: Part,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.perturbation = self.build(perturbation)
        self.projector = self.build(projector)
        self.contrast = self.build(contrast)

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized views (B, 3, 2H, W), one above the other.

        B batch, D width, C channels of the projection, R processes.
        """
        views = [self.perturbation(view) for view in images.chunk(2, dim=2)]
        tokens = self.backbone.embed(torch.cat(views))  # (2B, N, D)
        tokens = self.backbone.encode(tokens, class_only=True)  # (2B, 1, D)
        keys = self.projector(gather_with_grad(tokens))[:, 0]  # (R * 2B, C)
        queries = keys.split(len(tokens))[rank()]  # (2B, C)
        contrast, accuracy = self.contrast(queries, keys)
        return dict(loss_contrast=contrast, contrast_accuracy=accuracy)

    def predict(self, images: Tensor) -> Prediction:
        """Change the colors of both views as ``loss`` does."""
        return show_views(images, self.perturbation)
