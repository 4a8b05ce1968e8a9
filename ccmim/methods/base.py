"""The base class of pretraining methods.

B batch, N patches, M masked, C numbers predicted of a patch, H W image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from ccmim.masking import TokenSplit
from ccmim.ranges import Part, Parts
from ccmim.registry import MODELS, build_part


@dataclass(frozen=True)
class Prediction:
    """The outputs of a method for a batch, for pictures, statistics and users.

    A method leaves out what it does not have.

    Attributes:
        scores: Importance of each patch, of shape (B, N).
        split: Which patches are visible and which are masked.
        pred: Prediction for the masked patches, of shape (B, M, C), in the order
            of ``ids_masked``.
        target: Ground truth of all patches, of shape (B, N, C), in the units of
            ``pred``.
        space: 'pixels' if ``pred`` and ``target`` are flat patches in the units of the
            normalized images, else 'features'.
        views: Other normalized images that a network has seen, of shape
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
        """Ground truth of visible and predictions of masked patches: (B, N, C)."""
        ids = self.split.ids_masked[..., None].expand_as(self.pred)
        return self.target.scatter(1, ids, self.pred.to(self.target.dtype))


class PretrainMethod(BaseModel):
    """Base class: mmengine's three modes; a method adds its parts and its ``loss``.

    Args:
        backbone: Config of the Vision Transformer.
        data_preprocessor: Config of the data preprocessor, which normalizes images.
        init_cfg: mmengine's initialization config.
        anchor: Config of what keeps the features near those of the weights at the
            start, such as ``GramAnchor``; its loss is added to those of the method.
        extra: Config of a further loss of the full images, such as ``GraphContrast``;
            what it gives is added likewise.

    Raises:
        ValueError: If the anchor is for visible patches, and the method masks none.
    """

    num_views = 1  # of an image, one above the other, in what ``loss`` takes
    takes_captions = False  # beside the images, in training
    with_visible = False  # whether ``loss`` gives its visible patches to the anchor

    def __init__(
        self,
        backbone: Part,
        data_preprocessor: Part | None = None,
        init_cfg: Part | None = None,
        anchor: Part | None = None,
        extra: Part | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self._pixels: dict[str, list[float]] = {}
        if data_preprocessor is not None:
            for name in ('mean', 'std'):
                if (values := data_preprocessor.get(name)) is not None:
                    self._pixels[name] = list(values)
            self.data_preprocessor = self.build(data_preprocessor)
        self.anchor = None
        if anchor is not None:
            self.anchor = self.build(anchor, backbone=self.backbone)
            if self.anchor.visible_only and not self.with_visible:
                raise ValueError(
                    f'anchor.visible_only=True needs masks, and {type(self).__name__} '
                    'looks at whole images: leave it out'
                )
        self.extra = None if extra is None else self.build(extra)

    def build(self, part: Parts, **sizes: Any) -> nn.Module:
        """Build a part for this backbone; of a list, one that runs each in turn.

        Its ``in_dim``, ``img_size`` and ``patch_size`` are the backbone's where its
        config leaves them out, and its ``network`` is the backbone itself. So are its
        ``mean`` and ``std`` those of the data preprocessor.

        Args:
            part: Config of the part.
            sizes: More arguments that have their value from other parts; None for one
                of those above that the part is to choose itself.

        Raises:
            ValueError: If its config says another width or patch side; see
                ``build_part``.
        """
        if not isinstance(part, Mapping):
            return nn.Sequential(*(self.build(one, **sizes) for one in part))
        vit = self.backbone
        known = dict(
            in_dim=vit.embed_dim,
            img_size=tuple(side * vit.patch_size for side in vit.grid),
            patch_size=vit.patch_size,
            network=vit,
            **self._pixels,
        )
        return build_part(part, **(known | sizes))

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the weighted losses of normalized images (B, 3, H, W)."""
        raise NotImplementedError

    def predict(self, images: Tensor) -> Prediction:
        """Predict as ``loss`` does for normalized images (B, 3, H, W).

        Draws from the default generators, as ``loss`` does.
        """
        return Prediction()

    def with_anchor(
        self, losses: dict[str, Tensor], images: Tensor
    ) -> dict[str, Tensor]:
        """Add what an anchor and an extra loss of whole images give, if any."""
        images = torch.cat(images.chunk(self.num_views, dim=2))
        if self.anchor is not None and not self.anchor.visible_only:
            losses = losses | {'loss_anchor': self.anchor(self.backbone, images)}
        if self.extra is not None:
            losses = losses | self.extra(self.backbone, images)
        return losses

    def visible_anchor(
        self, images: Tensor, encoded: Tensor, split: TokenSplit
    ) -> dict[str, Tensor]:
        """Compute the loss of an anchor of visible patches, if there is one.

        Args:
            images: Normalized images of shape (B, 3, H, W).
            encoded: The class token, the V visible patches and whatever comes after
                them, of shape (B, 1 + V + ..., D).
            split: Which patches are visible.

        Returns:
            ``loss_anchor``, or nothing.
        """
        if self.anchor is None or not self.anchor.visible_only:
            return {}
        ids = split.ids_visible
        tokens = encoded[:, 1 : 1 + ids.shape[1]]
        return {
            'loss_anchor': self.anchor.of_visible(self.backbone, images, tokens, ids)
        }

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Dispatch on mode 'loss' or 'predict', else return the encoded tokens."""
        if mode == 'loss':
            return self.with_anchor(self.loss(inputs), inputs)
        if mode == 'predict':
            with torch.no_grad():
                return self.predict(inputs)
        return self.backbone.encode(self.backbone.embed(inputs))


def show_views(images: Tensor, perturbation: nn.Module) -> Prediction:
    """Show two views, one above the other, (B, 3, 2H, W), before and after a change."""
    first, second = images.chunk(2, dim=2)
    views = {'first part': first, 'first view': perturbation(first)}
    views |= {'second part': second, 'second view': perturbation(second)}
    return Prediction(views=views)
