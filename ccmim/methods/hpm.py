"""HPM: masked autoencoding that masks the patches it predicts to be hard."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from ccmim.masking import count_visible, importance_gap
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import ArgsOf, InnerRatio, Part
from ccmim.registry import MODELS
from ccmim.teachers import EMATeacher


@MODELS.register_module()
class HPM(PretrainMethod):
    """Mine hard patches for MAE (https://arxiv.org/abs/2304.05919).

    Beside the decoder a predictor predicts the error of each patch. It learns their
    order on the masked patches, and a momentum copy of it, with the backbone, scores
    all patches of the full image for the next mask.

    Args:
        backbone: Config of the Vision Transformer.
        predictor: Config of the head that predicts errors.
        teacher: Arguments of ``EMATeacher``.
        sampler: Config of the sampler, which draws the mask from the scores.
        decoder: Config of the decoder.
        reconstruction: Config of the reconstruction loss.
        ranking: Config of the predictor's loss.
        mask_ratio: Fraction of masked patches, in (0, 1).
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.

    Raises:
        ValueError: If ``mask_ratio`` is out of range.
    """

    with_visible = True

    def __init__(
        self,
        backbone: Part,
        predictor: Part,
        teacher: Annotated[Part, ArgsOf(EMATeacher)],
        sampler: Part,
        decoder: Part,
        reconstruction: Part,
        ranking: Part,
        mask_ratio: InnerRatio = 0.75,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        count_visible(math.prod(self.backbone.grid), mask_ratio)  # raises if impossible
        self.predictor = self.build(predictor)
        self.teacher = EMATeacher(self.backbone, self.predictor, **teacher)
        self.sampler = self.build(sampler)
        self.decoder = self.build(decoder)
        self.reconstruction = self.build(reconstruction)
        self.ranking = self.build(ranking)
        self.mask_ratio = mask_ratio

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the losses of normalized images (B, 3, H, W).

        B batch, N patches, V visible, M masked, D width, P patch side.
        """
        self.teacher.update(self.backbone, self.predictor)
        scores = self._score(images)  # (B, N), no gradient
        split = self.sampler(scores, self.mask_ratio)
        visible = self.backbone.embed(images, split.ids_visible)  # (B, V, D)
        visible = self.backbone.encode(visible)  # (B, 1+V, D), the class token first
        pred = self.decoder(visible, split)  # (B, M, 3*P*P)
        errors = self.reconstruction.of_each(pred, images, split)  # (B, M)
        hardness = self.predictor.of_masked(visible, split)  # (B, M)
        return dict(
            loss_reconstruction=errors.mean(),
            loss_hardness=self.ranking(hardness, errors),
            mask_importance_gap=importance_gap(scores, split),
            **self.visible_anchor(images, visible, split),
        )

    def predict(self, images: Tensor) -> Prediction:
        """Mask and predict pixels as ``loss`` does; see ``Prediction``."""
        scores = self._score(images)
        split = self.sampler(scores, self.mask_ratio)
        visible = self.backbone.encode(self.backbone.embed(images, split.ids_visible))
        pred = self.decoder(visible, split)
        return Prediction(
            scores, split, **self.reconstruction.in_pixels(pred, images, split)
        )

    @torch.no_grad()
    def _score(self, images: Tensor) -> Tensor:
        vit = self.teacher.backbone
        hardness = self.teacher.projector(vit.encode(vit.embed(images)))
        wide = torch.promote_types(hardness.dtype, torch.float32)
        return hardness.softmax(dim=1, dtype=wide)  # how likely each is the hardest
