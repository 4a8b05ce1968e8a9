"""SOHO: predict the visual words of masked patches."""

import math
from typing import Any

import torch
from torch import Tensor

from ccmim.masking import encode_with_mask_tokens, importance_gap
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import InnerRatio, Part
from ccmim.registry import MODELS
from ccmim.teachers import EMATeacher, normalize_features


@MODELS.register_module()
class SOHO(PretrainMethod):
    """Predict which visual word each masked patch is.

    The masked visual modeling of SOHO (https://arxiv.org/abs/2104.03135), on images
    alone: a dictionary numbers the features of the full image, and the network predicts
    the numbers of masked patches. Its features are those of a momentum copy, or of a
    frozen network; in the paper, those of the network in training, which here would
    make all patches one word.

    Args:
        backbone: Config of the Vision Transformer.
        projector: Config of the projector of tokens, before the codebook.
        dictionary: Config of the codes, and of the loss; see ``VisualDictionary``.
        scorer: Config of the scorer, which rates each patch's importance. None to use
            the code of each patch: with ``SameScoreSampler`` whole codes are masked.
        sampler: Config of the sampler, which draws the mask from the scores.
        mask_token: Config of the mask token.
        teacher: Arguments of ``EMATeacher``; or, with a ``type``, config of a frozen
            teacher, whose features are normalized.
        mask_ratio: Fraction of masked patches, in (0, 1).
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``, of
            ``PretrainMethod``.

    Raises:
        ValueError: If ``mask_ratio`` is out of range, or the sampler is for images of
            another size.
    """

    def __init__(
        self,
        backbone: Part,
        projector: Part,
        dictionary: Part,
        scorer: Part | None,
        sampler: Part,
        mask_token: Part,
        teacher: Part,
        mask_ratio: InnerRatio = 0.75,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.frozen = 'type' in teacher
        if self.frozen:
            self.teacher = self.build(teacher, grid=self.backbone.grid, img_size=None)
            self.projector = self.build(projector, out_dim=self.teacher.out_dim)
        else:
            self.projector = self.build(projector)
            self.teacher = EMATeacher(self.backbone, self.projector, **teacher)
        self.dictionary = self.build(dictionary, dim=self.projector.out_dim)
        self.scorer = None if scorer is None else self.build(scorer)
        self.sampler = self.build(sampler)
        self.sampler(torch.ones(1, math.prod(self.backbone.grid)), mask_ratio)  # raises
        self.mask_token = self.build(mask_token, dim=self.backbone.embed_dim)
        self.mask_ratio = mask_ratio

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized images (B, 3, H, W).

        B batch, N patches, V visible, M masked, D width, C channels of the codes.
        """
        if not self.frozen:
            self.teacher.update(self.backbone, self.projector)
        words, seen = self.dictionary.look_up(self._features(images))
        scores = self._scores(images, words)
        split = self.sampler(scores, self.mask_ratio)
        encoded = encode_with_mask_tokens(  # (B, 1+V+M, D)
            self.backbone, self.mask_token, images, split
        )
        first = 1 + split.ids_visible.shape[1]
        pred = self.projector(encoded)[:, first:]  # (B, M, C)
        truth = words.gather(1, split.ids_masked)
        loss, accuracy = self.dictionary(pred, truth)
        if self.scorer is not None:
            seen['mask_importance_gap'] = importance_gap(scores, split)
        return dict(loss_words=loss, word_accuracy=accuracy, **seen)

    def predict(self, images: Tensor) -> Prediction:
        """Mask as ``loss`` does."""
        words = None
        if self.scorer is None:
            words, _ = self.dictionary.look_up(self._features(images), learn=False)
        scores = self._scores(images, words)
        return Prediction(scores, self.sampler(scores, self.mask_ratio))

    def _features(self, images: Tensor) -> Tensor:
        features = self.teacher(images)  # (B, N, C), no gradient
        if not self.frozen:
            return features
        wide = torch.promote_types(features.dtype, torch.float32)
        return normalize_features(features.to(wide))

    def _scores(self, images: Tensor, words: Tensor | None) -> Tensor:
        if self.scorer is None:
            return words.to(images.dtype)
        return self.scorer(self.backbone, images)  # (B, N), no gradient
