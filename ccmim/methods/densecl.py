"""DenseCL: contrast of two views, globally and between their cells."""

from typing import Annotated, Any

import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn

from ccmim.losses import products, unit
from ccmim.masking import take
from ccmim.methods.base import Prediction, PretrainMethod, show_views
from ccmim.ranges import ArgsOf, Count, Index, Part, Parts, Ratio
from ccmim.registry import MODELS
from ccmim.teachers import EMATeacher


@MODELS.register_module()
class DenseCL(PretrainMethod):
    """Contrast whole views and their cells (https://arxiv.org/abs/2011.09157).

    Keys come from a momentum copy of the network on the second view. A cell's key is
    that of the cell with the most similar features. The published network is a ResNet
    with 7 x 7 cells; of the ViT the class token stands for the view, and squares of
    patches are averaged to cells. It has no batch norm, so that nothing needs
    shuffling.

    Args:
        backbone: Config of the Vision Transformer.
        perturbation: Config of what changes the colors of the views, or a list of
            what is done in turn.
        projector: Config of what maps the class token and cells to where they are
            compared.
        contrast: Config of the loss of the views, with a queue.
        dense_contrast: Config of the loss of the cells, with a queue.
        teacher: Arguments of ``EMATeacher``.
        cells: Cells on a side.
        dense_weight: Fraction of the loss of the cells, in [0, 1].
        dense_begin: Steps in which that fraction is 0, until features distinguish
            cells.
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.

    Raises:
        ValueError: If patches do not fill the cells.
    """

    num_views = 2

    def __init__(
        self,
        backbone: Part,
        perturbation: Parts,
        projector: Part,
        contrast: Part,
        dense_contrast: Part,
        teacher: Annotated[Part, ArgsOf(EMATeacher)],
        cells: Count = 7,
        dense_weight: Ratio = 0.5,
        dense_begin: Index = 1000,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        if any(side % cells for side in self.backbone.grid):
            raise ValueError(
                f'cells={cells} must divide the patches on a side, {self.backbone.grid}'
            )
        self.perturbation = self.build(perturbation)
        self.projector = self.build(projector)
        self.teacher = EMATeacher(self.backbone, self.projector, **teacher)
        self.contrast = self.build(contrast, dim=self.projector.out_dim)
        self.dense_contrast = self.build(dense_contrast, dim=self.projector.out_dim)
        self.cells = cells
        self.dense_weight = dense_weight
        self.dense_begin = dense_begin

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the losses of normalized views (B, 3, 2H, W), one above the other.

        B batch, S cells, D width, C channels of the projection.
        """
        first, second = (self.perturbation(view) for view in images.chunk(2, dim=2))
        self.teacher.update(self.backbone, self.projector)
        tokens = self._encode(self.backbone, first)  # (B, 1+S, D), class token first
        queries = self.projector(tokens)  # (B, 1+S, C)
        with torch.no_grad():
            teacher_tokens = self._encode(self.teacher.backbone, second)
            keys = self.teacher.projector(teacher_tokens)
            match = take(
                keys[:, 1:], most_similar(tokens[:, 1:], teacher_tokens[:, 1:])
            )
        whole, accuracy = self.contrast(queries[:, 0], keys[:, 0], keys[:, 0])
        cells = queries[:, 1:].flatten(0, 1), match.flatten(0, 1)  # (B * S, C)
        dense, _ = self.dense_contrast(*cells, keys[:, 1:].mean(dim=1))
        iteration = MessageHub.get_current_instance().get_info('iter', 0)
        weight = self.dense_weight if iteration >= self.dense_begin else 0.0
        return dict(
            loss_contrast=(1 - weight) * whole,
            loss_dense=weight * dense,
            contrast_accuracy=accuracy,
        )

    def predict(self, images: Tensor) -> Prediction:
        """Change the colors of both views as ``loss`` does."""
        return show_views(images, self.perturbation)

    def _encode(self, backbone: nn.Module, images: Tensor) -> Tensor:
        tokens = backbone.encode(backbone.embed(images))  # (B, 1+N, D)
        rows, columns = (side // self.cells for side in backbone.grid_of(images))
        cells = tokens[:, 1:].unflatten(1, (self.cells, rows, self.cells, columns))
        return torch.cat([tokens[:, :1], cells.mean(dim=(2, 4)).flatten(1, 2)], dim=1)


def most_similar(queries: Tensor, keys: Tensor) -> Tensor:
    """Find for each query the key of its image with the greatest cosine similarity.

    Args:
        queries: Features of shape (B, S, D).
        keys: Features of shape (B, K, D).

    Returns:
        Ids of shape (B, S), in [0, K).
    """
    return products(unit(queries), unit(keys)).argmax(dim=2)
