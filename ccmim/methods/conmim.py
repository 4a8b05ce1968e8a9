"""ConMIM: masked image modeling as a contrast between the patches of an image."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from ccmim.masking import encode_with_mask_tokens, importance_gap
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import ArgsOf, InnerRatio, Part, Parts
from ccmim.registry import MODELS
from ccmim.teachers import EMATeacher


@MODELS.register_module()
class ConMIM(PretrainMethod):
    """Find the key of each masked patch (https://arxiv.org/abs/2205.09616).

    Queries come from the masked image, keys from a momentum copy of the network on the
    full and strongly perturbed one; the other patches of the same image are the
    negatives. Departs from the published code in the backbone: fixed absolute instead
    of relative positions and no layer scale, as everywhere in this library.

    Args:
        backbone: Config of the Vision Transformer.
        projector: Config of the projector of queries and keys.
        scorer: Config of the scorer, which rates each patch's importance.
        sampler: Config of the sampler, which draws the mask from the scores.
        mask_token: Config of the mask token.
        perturbation: Config of what changes the images of the keys, or a list of
            what is done in turn; an empty one leaves them as they are.
        contrast: Config of the loss.
        teacher: Arguments of ``EMATeacher``: ``momentum`` and ``interval``.
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
        projector: Part,
        scorer: Part,
        sampler: Part,
        mask_token: Part,
        perturbation: Parts,
        contrast: Part,
        teacher: Annotated[Part, ArgsOf(EMATeacher)],
        mask_ratio: InnerRatio = 0.75,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.projector = self.build(projector)
        self.teacher = EMATeacher(self.backbone, self.projector, **teacher)
        self.scorer = self.build(scorer)
        self.sampler = self.build(sampler)
        self.sampler(torch.ones(1, math.prod(self.backbone.grid)), mask_ratio)  # raises
        self.mask_token = self.build(mask_token, dim=self.backbone.embed_dim)
        self.perturbation = self.build(perturbation)
        self.contrast = self.build(contrast)
        self.mask_ratio = mask_ratio

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized images (B, 3, H, W).

        B batch, N patches, V visible, M masked, D width, C channels of the projection.
        """
        self.teacher.update(self.backbone, self.projector)
        keys = self.teacher(self.perturbation(images))  # (B, N, C), no gradient
        scores = self.scorer(self.backbone, images)  # (B, N), no gradient
        split = self.sampler(scores, self.mask_ratio)
        encoded = encode_with_mask_tokens(  # (B, 1+V+M, D)
            self.backbone, self.mask_token, images, split
        )
        first = 1 + split.ids_visible.shape[1]
        queries = self.projector(encoded)[:, first:]  # (B, M, C)
        contrast, accuracy = self.contrast(queries, keys, split)
        return dict(
            loss_contrast=contrast,
            contrast_accuracy=accuracy,
            mask_importance_gap=importance_gap(scores, split),
            **self.visible_anchor(images, encoded, split),
        )

    def predict(self, images: Tensor) -> Prediction:
        """Mask, and change the images of the keys, as ``loss`` does."""
        scores = self.scorer(self.backbone, images)
        split = self.sampler(scores, self.mask_ratio)
        views = {'seen by teacher': self.perturbation(images)}
        return Prediction(scores, split, views=views)
