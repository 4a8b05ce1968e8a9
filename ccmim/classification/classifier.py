"""A classifier: fully fine-tuned, or a linear probe on a frozen backbone."""

from contextlib import nullcontext
from typing import Any, Literal

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from ccmim.ranges import Part
from ccmim.registry import MODELS, build_part


@MODELS.register_module()
class Classifier(BaseModel):
    """Classify images by one feature of each.

    Args:
        backbone: Config of the Vision Transformer; ``final_norm=False`` where the head
            has a norm of its own, as in MAE's fine-tuning.
        head: Config of the classification head.
        pool: 'average' of the patches, or the 'class' token.
        mixing: Config of what a batch goes through in training, without its
            ``num_classes``; nothing when None.
        frozen: Whether the backbone stays as it is: a probe.
        extra: Config of another loss, of the patches and labels, such as
            ``LookIntoObject``; it has a part in training alone, and a classifier
            without it loads the checkpoint.
        data_preprocessor: Config of the data preprocessor, which normalizes images.
        init_cfg: mmengine's initialization config.

    Raises:
        ValueError: If ``extra`` stands beside ``frozen``, or mixes that put two classes
            into an image.
    """

    def __init__(
        self,
        backbone: Part,
        head: Part,
        pool: Literal['average', 'class'] = 'average',
        mixing: Part | None = None,
        frozen: bool = False,
        extra: Part | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Part | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        if frozen:
            self.backbone.requires_grad_(False)
        self.head = build_part(head, in_dim=self.backbone.embed_dim)
        mixing = mixing or dict(type='ccmim.BatchMixing')
        self.mixing = MODELS.build({**mixing, 'num_classes': self.head.num_classes})
        if extra is not None and self.mixing.mixes:
            raise ValueError(
                f'model.extra={extra["type"]} compares images by their class, and '
                'mixup and cutmix put two into one: set model.mixing.mixup=0 and '
                'model.mixing.cutmix=0'
            )
        if extra is not None and frozen:
            raise ValueError(
                f'model.extra={extra["type"]} would train nothing, as frozen=True '
                'leaves patches as they are: leave model.extra out'
            )
        dim = self.backbone.embed_dim
        self.extra = None if extra is None else build_part(extra, in_dim=dim)
        self.pool = pool
        self.frozen = frozen

    def loss(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the cross entropy of normalized images (B, 3, H, W), labels (B,)."""
        images, targets = self.mixing(images, labels)  # (B, C), how much of each class
        if self.extra is None:
            scores = self.head(self.features(images))  # (B, C)
            return dict(loss_classification=F.cross_entropy(scores, targets))
        tokens = self.backbone.encode(self.backbone.embed(images))  # (B, 1+N, D)
        patches = tokens[:, 1:]
        feature = patches.mean(1) if self.pool == 'average' else tokens[:, 0]
        losses = self.extra(patches, self.backbone.grid, labels)
        known = F.cross_entropy(self.head(feature), targets)
        return dict(loss_classification=known, **losses)

    def features(self, images: Tensor) -> Tensor:
        """Compute the feature (B, D) of each normalized image (B, 3, H, W)."""
        with torch.no_grad() if self.frozen else nullcontext():
            tokens = self.backbone.embed(images)
            if self.pool == 'class':
                return self.backbone.encode(tokens, class_only=True)[:, 0]
            return self.backbone.encode(tokens)[:, 1:].mean(1)

    def predict(self, images: Tensor, ids: Tensor, labels: Tensor) -> list[dict]:
        """Score normalized images (B, 3, H, W).

        Returns:
            For each, on the host: ``scores`` (C,), probabilities; ``image``, its number
            in the data set; and ``label``, its class.
        """
        scores = self.head(self.features(images)).softmax(1).cpu()
        return [
            dict(image=image, label=label, scores=row)
            for image, label, row in zip(
                ids.tolist(), labels.tolist(), scores, strict=True
            )
        ]

    def forward(
        self,
        inputs: Tensor,
        data_samples: Any = None,
        labels: Tensor | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Answer mmengine: losses in mode 'loss', predictions, or scores (B, C)."""
        if mode == 'loss':
            return self.loss(inputs, labels)
        if mode == 'predict':
            return self.predict(inputs, data_samples, labels)
        return self.head(self.features(inputs))

    def _load_from_state_dict(self, state: dict, prefix: str, *args: Any) -> None:
        if self.extra is None:
            for name in [name for name in state if name.startswith(f'{prefix}extra.')]:
                del state[name]
        super()._load_from_state_dict(state, prefix, *args)

    def train(self, mode: bool = True) -> 'Classifier':
        """Switch training mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self
