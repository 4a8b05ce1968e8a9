"""What every pretraining method answers.

B batch, N patches, M masked, C numbers predicted of a patch, H W image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from ccmim.masking import TokenSplit
from ccmim.registry import MODELS


@dataclass(frozen=True)
class Prediction:
    """What a method made of a batch, for pictures, statistics and users.

    A method leaves out what it does not have.

    Attributes:
        scores: Importance of each patch, of shape (B, N).
        split: Which patches are visible and which are masked.
        pred: What is predicted of the masked patches, of shape (B, M, C), in the order
            of ``ids_masked``.
        target: What all patches are in truth, of shape (B, N, C), in the units of
            ``pred``.
        space: 'pixels' if ``pred`` and ``target`` are flat patches in the units of the
            normalized images, else 'features'.
        views: Other images that a network was given, normalized, of shape
            (B, 3, H, W), by label.
        note: A sentence about them, for below a picture.
    """

    scores: Tensor | None = None
    split: TokenSplit | None = None
    pred: Tensor | None = None
    target: Tensor | None = None
    space: str = 'features'
    views: Mapping[str, Tensor] = field(default_factory=dict)
    note: str = ''

    @property
    def completed(self) -> Tensor:
        """The truth where it is visible, the prediction where it is not: (B, N, C)."""
        ids = self.split.ids_masked[..., None].expand_as(self.pred)
        return self.target.scatter(1, ids, self.pred.to(self.target.dtype))


class PretrainMethod(BaseModel):
    """Answer mmengine in its three modes; a method adds its parts and its ``loss``.

    Args:
        backbone: Config of the Vision Transformer.
        data_preprocessor: Config of what normalizes the images on the device.
        init_cfg: mmengine's initialization config.
    """

    num_views = 1  # of an image, one above the other, in what ``loss`` takes

    def __init__(
        self,
        backbone: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the weighted losses of normalized images (B, 3, H, W)."""
        raise NotImplementedError

    def predict(self, images: Tensor) -> Prediction:
        """Show what a step does to normalized images (B, 3, H, W): see ``Prediction``.

        Draws from the default generators, as ``loss`` does.
        """
        return Prediction()

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Answer in mode 'loss' or 'predict', else with the encoded tokens."""
        if mode == 'loss':
            return self.loss(inputs)
        if mode == 'predict':
            with torch.no_grad():
                return self.predict(inputs)
        return self.backbone.encode(self.backbone.embed(inputs))
