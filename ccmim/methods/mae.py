"""MAE: masked autoencoding."""

import math
from typing import Any

from torch import Tensor

from ccmim.masking import (
    count_visible,
    importance_gap,
    some_masked,
)
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import InnerRatio, Part, PositiveRatio
from ccmim.registry import MODELS


@MODELS.register_module()
class MAE(PretrainMethod):
    """Reconstruct masked patches from the rest (https://arxiv.org/abs/2111.06377).

    With another scorer and sampler than ``ConstantScorer`` and ``RandomSampler`` it is
    MAE with that masking.

    Args:
        backbone: Config of the Vision Transformer.
        scorer: Config of the scorer, which rates each patch's importance.
        sampler: Config of the sampler, which draws the mask from the scores.
        decoder: Config of the decoder.
        reconstruction: Config of the reconstruction loss.
        mask_ratio: Fraction of masked patches, in (0, 1).
        decoded_ratio: Fraction of the masked patches that are predicted, in (0, 1];
            drawn anew at each step (CrossMAE).
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.

    Raises:
        ValueError: If ``mask_ratio`` leaves no patch visible, or none masked.
    """

    with_visible = True

    def __init__(
        self,
        backbone: Part,
        scorer: Part,
        sampler: Part,
        decoder: Part,
        reconstruction: Part,
        mask_ratio: InnerRatio = 0.75,
        decoded_ratio: PositiveRatio = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        count_visible(math.prod(self.backbone.grid), mask_ratio)  # raises if impossible
        self.scorer = self.build(scorer)
        self.sampler = self.build(sampler)
        self.decoder = self.build(decoder)
        self.reconstruction = self.build(reconstruction)
        self.mask_ratio = mask_ratio
        self.decoded_ratio = decoded_ratio

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized images (B, 3, H, W).

        B batch, N patches, V visible, M masked, D width, P patch side.
        """
        scores = self.scorer(self.backbone, images)  # (B, N), no gradient
        split = self.sampler(scores, self.mask_ratio)
        visible = self.backbone.embed(images, split.ids_visible)  # (B, V, D)
        visible = self.backbone.encode(visible)  # (B, 1+V, D), the class token first
        wanted = some_masked(split, self.decoded_ratio)  # all, unless the config says
        pred = self.decoder(visible, wanted)  # (B, M, 3*P*P)
        return dict(
            loss_reconstruction=self.reconstruction(pred, images, wanted),
            mask_importance_gap=importance_gap(scores, split),
            **self.visible_anchor(images, visible, split),
        )

    def predict(self, images: Tensor) -> Prediction:
        """Mask and predict pixels as ``loss`` does; see ``Prediction``."""
        scores = self.scorer(self.backbone, images)
        split = self.sampler(scores, self.mask_ratio)
        visible = self.backbone.encode(self.backbone.embed(images, split.ids_visible))
        pred = self.decoder(visible, split)
        return Prediction(
            scores, split, **self.reconstruction.in_pixels(pred, images, split)
        )
