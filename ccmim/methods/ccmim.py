"""ccMIM: contextual masked image modeling with single-view contrast."""

import math
from typing import Any

from torch import Tensor

from ccmim.masking import (
    count_visible,
    importance_gap,
    some_masked,
)
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.methods.several_masks import mean_over_masks
from ccmim.ranges import Count, InnerRatio, NonNegative, Part, PositiveRatio
from ccmim.registry import MODELS


@MODELS.register_module()
class CCMIM(PretrainMethod):
    """Reconstruct semantically rich patches and align the two halves of an image.

    Zhang, Zhu, Zhao, Yan: "Contextual image masking modeling via synergized
    contrasting without view augmentation for faster and better visual pretraining",
    ICLR 2023 (https://openreview.net/forum?id=A3sgyt4HWp). Defaults of the configs
    compute what the published code computes.

    Args:
        backbone: Config of the Vision Transformer.
        scorer: Config of the scorer, which rates each patch's importance.
        sampler: Config of the sampler, which draws the mask from the scores.
        decoder: Config of the decoder.
        reconstruction: Config of the reconstruction loss.
        contrast: Config of the contrastive loss.
        mask_ratio: Fraction of masked patches, in (0, 1).
        contrast_weight: Factor of the contrastive loss, at least 0.
        decoded_ratio: Fraction of the masked patches that are predicted, in (0, 1];
            drawn anew at each step (CrossMAE).
        num_masks: Masks that are drawn from the scores of a step; see
            ``mean_over_masks``.
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
        contrast: Part,
        mask_ratio: InnerRatio = 0.75,
        contrast_weight: NonNegative = 0.1,
        decoded_ratio: PositiveRatio = 1.0,
        num_masks: Count = 1,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        count_visible(math.prod(self.backbone.grid), mask_ratio)  # raises if impossible
        self.scorer = self.build(scorer)
        self.sampler = self.build(sampler)
        self.decoder = self.build(decoder)
        self.reconstruction = self.build(reconstruction)
        self.contrast = self.build(contrast)
        self.mask_ratio = mask_ratio
        self.contrast_weight = contrast_weight
        self.decoded_ratio = decoded_ratio
        self.num_masks = num_masks

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the weighted losses of normalized images (B, 3, H, W).

        B batch, N patches, V visible, M masked, D width, P patch side.
        """
        scores = self.scorer(self.backbone, images)  # (B, N), no gradient
        split = self.sampler(scores, self.mask_ratio)
        visible = self.backbone.embed(images, split.ids_visible)  # (B, V, D)
        visible = self.backbone.encode(visible)  # (B, 1+V, D), the class token first
        with self.contrast.key_gradient():
            masked = self.backbone.embed(images, split.ids_masked)  # (B, M, D)
            masked = self.backbone.encode(masked, class_only=True)  # (B, 1, D)
        contrast, accuracy = self.contrast(visible[:, 0], masked[:, 0])
        wanted = some_masked(split, self.decoded_ratio)  # all, unless the config says
        pred = self.decoder(visible, wanted)  # (B, M, 3*P*P)
        return dict(
            loss_reconstruction=self.reconstruction(pred, images, wanted),
            loss_contrast=self.contrast_weight * contrast,
            contrast_accuracy=accuracy,
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

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Dispatch on the mode, averaging the loss over several masks if set."""
        if mode == 'loss' and self.num_masks > 1:
            losses = mean_over_masks(self, inputs, self.num_masks)
            return self.with_anchor(losses, inputs)
        return super().forward(inputs, data_samples, mode)
