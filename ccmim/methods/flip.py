"""FLIP: contrast of images and captions, with most patches dropped."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ccmim.losses import unit
from ccmim.masking import count_visible, importance_gap
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import Part, RatioBelowOne
from ccmim.registry import MODELS
from ccmim.vit import draw_linear


@MODELS.register_module()
class FLIP(PretrainMethod):
    """Contrast images, of which some patches are seen, with their captions.

    https://arxiv.org/abs/2212.00794: no mask token, nothing is reconstructed; patches
    are left out so that a step costs less. An image is the average of all its tokens,
    projected. At ``mask_ratio=0`` nothing is left out: CLIP, and FLIP's unmasked
    tuning at the end. Any scorer and sampler fits, in place of random masks.

    Args:
        backbone: Config of the Vision Transformer.
        scorer: Config of the scorer, which rates each patch's importance.
        sampler: Config of the sampler, which draws the mask from the scores.
        tokenizer: Config of the tokenizer of captions.
        text_tower: Config of the network that encodes them; its ``num_words`` and
            ``context`` are the tokenizer's.
        contrast: Config of the loss.
        mask_ratio: Fraction of patches that are left out, in [0, 1).
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``, of
            ``PretrainMethod``.

    Raises:
        ValueError: If ``mask_ratio`` leaves no patch visible, or tokenizer and tower
            differ in words.
    """

    takes_captions = True

    def __init__(
        self,
        backbone: Part,
        scorer: Part,
        sampler: Part,
        tokenizer: Part,
        text_tower: Part,
        contrast: Part,
        mask_ratio: RatioBelowOne = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        if mask_ratio:
            count_visible(math.prod(self.backbone.grid), mask_ratio)
        self.scorer = self.build(scorer)
        self.sampler = self.build(sampler)
        self.tokenizer = self.build(tokenizer)
        sizes = dict(num_words=self.tokenizer.num_words, context=self.tokenizer.context)
        for name, size in sizes.items():
            if text_tower.get(name) not in (None, size):
                raise ValueError(
                    f'text_tower.{name}={text_tower[name]} must be the {size} of '
                    'tokenizer: leave it out'
                )
        self.text_tower = self.build(text_tower, **sizes)
        self.contrast = self.build(contrast)
        self.projection = nn.Linear(
            self.backbone.embed_dim, self.text_tower.out_dim, bias=False
        )
        draw_linear(self.projection)
        self.mask_ratio = mask_ratio

    def loss(
        self, images: Tensor, captions: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of normalized images (B, 3, H, W) and their captions.

        B batch, N patches, V visible, D width, L words, C channels of the projection.
        Without captions made-up words stand for them, as where operations are counted.
        """
        words = self._words(images, captions)  # (B, L)
        ids, seen = None, {}
        if self.mask_ratio:
            scores = self.scorer(self.backbone, images)  # (B, N), no gradient
            split = self.sampler(scores, self.mask_ratio)
            ids = split.ids_visible
            seen['mask_importance_gap'] = importance_gap(scores, split)
        tokens = self.backbone.encode(self.backbone.embed(images, ids))  # (B, 1+V, D)
        features = self.projection(tokens.mean(dim=1))  # (B, C)
        return self.contrast(features, self.text_tower(words), words) | seen

    def predict(self, images: Tensor) -> Prediction:
        """Mask as ``loss`` does."""
        if not self.mask_ratio:
            return Prediction()
        scores = self.scorer(self.backbone, images)
        return Prediction(scores, self.sampler(scores, self.mask_ratio))

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode whole normalized images (B, 3, H, W) as unit vectors (B, C)."""
        tokens = self.backbone.encode(self.backbone.embed(images))
        return unit(self.projection(tokens.mean(dim=1)))

    def encode_captions(self, captions: Sequence[str]) -> Tensor:
        """Encode B captions as unit vectors (B, C)."""
        words = self.tokenizer(captions).to(self.projection.weight.device)
        return unit(self.text_tower(words))

    def forward(
        self,
        inputs: Tensor,
        data_samples: Any = None,
        captions: Sequence[str] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Dispatch as ``PretrainMethod`` does; mode 'loss' takes captions."""
        if mode == 'loss':
            return self.with_anchor(self.loss(inputs, captions), inputs)
        return super().forward(inputs, data_samples, mode)

    def _words(self, images: Tensor, captions: Sequence[str] | None) -> Tensor:
        if captions is not None:
            return self.tokenizer(captions).to(images.device, non_blocking=True)
        shape = len(images), self.tokenizer.context
        count = torch.arange(shape[0] * shape[1], device=images.device)
        return 1 + count.reshape(shape) % (self.tokenizer.num_words - 1)
