"""Relational distillation of a frozen teacher's similarities."""

from typing import Any

import torch
from torch import Tensor

from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import NonNegative, Part, Parts
from ccmim.registry import MODELS


@MODELS.register_module()
class RelationalDistill(PretrainMethod):
    """Learn the relations between a teacher's features, not the features themselves.

    The local and global halves of lightly-train's third distillation: a linear map
    takes the student's patches to the teacher's width; within a photo and against a
    queue of photos, softmaxes over cosines are compared, on photos that are mixed with
    each other. Departs: a photo is the average of its patches, by the same map, and not
    the class token by another one; the teacher sees photos at the size at which its
    grid is the student's, where there the student's map is resized; the queue is one
    for all processes and begins with random vectors. Students are of any width and
    patch side.

    Args:
        backbone: Config of the student, a Vision Transformer.
        teacher: Config of the teacher; its ``grid`` is set to the student's.
        perturbation: Config of what changes the colors of what both see; or [].
        projector: Config of what maps the student's tokens; its ``out_dim`` is set to
            the teacher's width.
        patches: Config of the loss within a photo.
        photos: Config of the loss against the queue; its ``dim`` is set likewise.
        patch_weight: Factor of the former.
        photo_weight: Factor of the latter.
        mix: Whether photos are mixed, by one fraction a batch, uniform in [0, 1].
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.

    Raises:
        ValueError: If the teacher cannot be built.
    """

    def __init__(
        self,
        backbone: Part,
        teacher: Part,
        perturbation: Parts,
        projector: Part,
        patches: Part,
        photos: Part,
        patch_weight: NonNegative = 1.0,
        photo_weight: NonNegative = 1.0,
        mix: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.teacher = self.build(teacher, grid=self.backbone.grid, img_size=None)
        self.perturbation = self.build(perturbation)
        self.projector = self.build(projector, out_dim=self.teacher.out_dim)
        self.patches = self.build(patches)
        self.photos = self.build(photos, dim=self.teacher.out_dim)
        self.patch_weight = patch_weight
        self.photo_weight = photo_weight
        self.mix = mix

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the weighted losses of normalized images (B, 3, H, W).

        B batch, N patches, D width, C the teacher's width.
        """
        images = self._seen(images)
        tokens = self.backbone.encode(self.backbone.embed(images))  # (B, 1+N, D)
        ours = self.projector(tokens[:, 1:])  # (B, N, C)
        theirs = self.teacher(images)  # (B, N, C), no gradient
        return dict(
            loss_patches=self.patch_weight * self.patches(ours, theirs),
            loss_photos=self.photo_weight * self.photos(ours, theirs),
        )

    def predict(self, images: Tensor) -> Prediction:
        """Mix photos and change colors as ``loss`` does."""
        return Prediction(views={'seen by both': self._seen(images)})

    def _seen(self, images: Tensor) -> Tensor:
        images = self.perturbation(images)
        return mixed(images) if self.mix else images


def mixed(images: Tensor) -> Tensor:
    """Mix each image of a batch (B, 3, H, W) with another one, by one random share."""
    ratio = torch.rand((), device=images.device).to(images.dtype)
    others = images[torch.randperm(len(images), device=images.device)]
    return ratio * images + (1 - ratio) * others
