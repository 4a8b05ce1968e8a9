"""MaskDistill: predict a frozen teacher's features of masked patches."""

import math
from typing import Any

import torch
from torch import Tensor

from ccmim.masking import encode_with_mask_tokens, importance_gap
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import InnerRatio, Part
from ccmim.registry import MODELS
from ccmim.teachers import normalize_features


@MODELS.register_module()
class MaskDistill(PretrainMethod):
    """Predict normalized teacher features (https://arxiv.org/abs/2210.10615).

    The official code was never released; this follows the paper's formula: smooth L1 of
    one layer on the student's masked tokens to the layer-normed features that the
    teacher has of the full image. The backbone has fixed absolute positions and no
    layer scale, where the paper's has BEiT's. The teacher is no part of checkpoints.

    Args:
        backbone: Config of the student, a Vision Transformer.
        teacher: Config of the teacher; its ``grid`` is set to the student's.
        scorer: Config of the scorer, which rates each patch's importance.
        sampler: Config of the sampler, which draws the mask from the scores.
        mask_token: Config of the mask token.
        decoder: Config of what predicts features from encoded masked patches; its
            ``out_dim`` is set to the teacher's width.
        distillation: Config of the loss.
        mask_ratio: Fraction of masked patches, in (0, 1).
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.

    Raises:
        ValueError: If ``mask_ratio`` is out of range, the sampler is for images of
            another size, or the teacher cannot be built.
    """

    with_visible = True

    def __init__(
        self,
        backbone: Part,
        teacher: Part,
        scorer: Part,
        sampler: Part,
        mask_token: Part,
        decoder: Part,
        distillation: Part,
        mask_ratio: InnerRatio = 0.4,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.teacher = self.build(teacher, grid=self.backbone.grid, img_size=None)
        self.scorer = self.build(scorer)
        self.sampler = self.build(sampler)
        self.sampler(torch.ones(1, math.prod(self.backbone.grid)), mask_ratio)  # raises
        self.mask_token = self.build(mask_token, dim=self.backbone.embed_dim)
        self.decoder = self.build(decoder, out_dim=self.teacher.out_dim)
        self.distillation = self.build(distillation)
        self.mask_ratio = mask_ratio

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized images (B, 3, H, W).

        B batch, N patches, V visible, M masked, D width, C the teacher's width.
        """
        scores = self.scorer(self.backbone, images)  # (B, N), no gradient
        split = self.sampler(scores, self.mask_ratio)
        encoded = encode_with_mask_tokens(  # (B, 1+V+M, D)
            self.backbone, self.mask_token, images, split
        )
        pred = self.decoder(encoded[:, -split.ids_masked.shape[1] :])  # (B, M, C)
        features = self.teacher(images)  # (B, N, C), no gradient
        return dict(
            loss_distillation=self.distillation(pred, features, split),
            mask_importance_gap=importance_gap(scores, split),
            **self.visible_anchor(images, encoded, split),
        )

    def predict(self, images: Tensor) -> Prediction:
        """Mask and predict features as ``loss`` does; see ``Prediction``."""
        scores = self.scorer(self.backbone, images)
        split = self.sampler(scores, self.mask_ratio)
        if not self.teacher.has_weights:  # its features mean nothing
            return Prediction(scores, split)
        encoded = encode_with_mask_tokens(self.backbone, self.mask_token, images, split)
        pred = self.decoder(encoded[:, -split.ids_masked.shape[1] :])
        return Prediction(
            scores, split, pred, normalize_features(self.teacher(images).float())
        )
