"""SimMIM: predict the pixels of masked squares, with mask tokens in the encoder."""

import math
from typing import Any

import torch
from torch import Tensor

from ccmim.masking import encode_with_mask_tokens, importance_gap
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import InnerRatio, Part
from ccmim.registry import MODELS


@MODELS.register_module()
class SimMIM(PretrainMethod):
    """Predict raw pixels with one layer (https://arxiv.org/abs/2111.09886).

    Mask tokens stand in the encoder's input, so it sees the full length. Departs from
    the published code in the backbone: fixed absolute instead of relative positions and
    no layer scale, as everywhere in this library.

    Args:
        backbone: Config of the Vision Transformer.
        scorer: Config of the scorer, which rates each patch's importance.
        sampler: Config of the sampler, which draws the mask from the scores.
        mask_token: Config of the mask token.
        decoder: Config of the head that predicts pixels from encoded masked patches.
        reconstruction: Config of the reconstruction loss.
        mask_ratio: Fraction of masked patches, in (0, 1).
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.

    Raises:
        ValueError: If ``mask_ratio`` is out of range or the sampler is for images of
            another size.
    """

    with_visible = True

    def __init__(
        self,
        backbone: Part,
        scorer: Part,
        sampler: Part,
        mask_token: Part,
        decoder: Part,
        reconstruction: Part,
        mask_ratio: InnerRatio = 0.6,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.scorer = self.build(scorer)
        self.sampler = self.build(sampler)
        self.sampler(torch.ones(1, math.prod(self.backbone.grid)), mask_ratio)  # raises
        self.mask_token = self.build(mask_token, dim=self.backbone.embed_dim)
        self.decoder = self.build(decoder, out_dim=3 * self.backbone.patch_size**2)
        self.reconstruction = self.build(reconstruction)
        self.mask_ratio = mask_ratio

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized images (B, 3, H, W).

        B batch, N patches, V visible, M masked, D width, P patch side.
        """
        scores = self.scorer(self.backbone, images)  # (B, N), no gradient
        split = self.sampler(scores, self.mask_ratio)
        encoded = encode_with_mask_tokens(  # (B, 1+V+M, D)
            self.backbone, self.mask_token, images, split
        )
        pred = self.decoder(encoded[:, -split.ids_masked.shape[1] :])  # (B, M, 3*P*P)
        return dict(
            loss_reconstruction=self.reconstruction(pred, images, split),
            mask_importance_gap=importance_gap(scores, split),
            **self.visible_anchor(images, encoded, split),
        )

    def predict(self, images: Tensor) -> Prediction:
        """Mask and predict pixels as ``loss`` does; see ``Prediction``."""
        scores = self.scorer(self.backbone, images)
        split = self.sampler(scores, self.mask_ratio)
        encoded = encode_with_mask_tokens(self.backbone, self.mask_token, images, split)
        pred = self.decoder(encoded[:, -split.ids_masked.shape[1] :])
        return Prediction(
            scores, split, **self.reconstruction.in_pixels(pred, images, split)
        )
