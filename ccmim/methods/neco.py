"""NeCo: patches keep the order of their neighbors from crop to crop."""

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from ccmim.losses import unit
from ccmim.methods.base import Prediction, PretrainMethod
from ccmim.ranges import ArgsOf, Count, Part, Parts
from ccmim.registry import MODELS
from ccmim.teachers import EMATeacher
from ccmim.teachers.shared_crops import Crop, cut, shared_part


@MODELS.register_module()
class NeCo(PretrainMethod):
    """Order the same neighbors in two crops alike (https://arxiv.org/abs/2408.11054).

    A short training after another one, of DINOv2's weights for instance, that sharpens
    dense features. A momentum copy sees both large crops, the student all crops. Where
    a crop overlaps a large one, both maps are brought to one grid by RoIAlign, and each
    of its cells orders patches of other photos: see ``NeighborOrder``. Departs: crops
    are cut on the device, out of the whole photo as the data set gives it; one queue
    for both large crops and all processes.

    Args:
        backbone: Config of the Vision Transformer.
        crops: Config of the crops.
        perturbation: Config of what changes their colors, or a list of what is done in
            turn.
        projector: Config of the projector of patches.
        order: Config of the loss; its ``dim`` is set to the projector's.
        teacher: Arguments of ``EMATeacher``.
        cells: Cells on a side of the overlap.
        options: ``data_preprocessor``, ``init_cfg``, ``anchor`` and ``extra``; see
            ``PretrainMethod``.

    Raises:
        ValueError: If there are fewer patches than cells, or than enter the queue, or
            the backbone cannot take small crops.
    """

    def __init__(
        self,
        backbone: Part,
        crops: Part,
        perturbation: Parts,
        projector: Part,
        order: Part,
        teacher: Annotated[Part, ArgsOf(EMATeacher)],
        cells: Count = 7,
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.crops = self.build(crops)
        self.perturbation = self.build(perturbation)
        self.projector = self.build(projector)
        self.teacher = EMATeacher(self.backbone, self.projector, **teacher)
        self.order = self.build(order, dim=self.projector.out_dim)
        self.cells = cells
        self._check_counts()

    def _check_counts(self) -> None:
        option = self.backbone.needs_all
        if option and len(set(self.crops.sizes)) > 1:
            raise ValueError(
                f'{option} is for the grid of img_size alone, and small crops have '
                'another: set model.crops.num_local=0'
            )
        rows, columns = self.backbone.grid
        for name, count, most in (
            ('cells', self.cells, max(rows, columns)),
            ('order.num_new', self.order.num_new, rows * columns),
        ):
            if count > most:
                raise ValueError(
                    f'{name}={count} are more than there are patches, {rows} x '
                    f'{columns} in a large crop: set {most} at most'
                )

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized photos (B, 3, H, W).

        B batch, S cells, C channels of the projection, h w patches of a crop.
        """
        crops = self._seen(images)
        self.teacher.update(self.backbone, self.projector)
        self.teacher.backbone.eval()  # without stochastic depth, as published
        with torch.no_grad():
            theirs = [self._maps(self.teacher, crop) for crop in crops[:2]]
        ours = [self._maps(self, crop) for crop in crops]  # (B, C, h, w) each
        for maps in theirs:
            self.order.remember(maps.flatten(2).transpose(1, 2))
        losses = []
        for large, their_maps in zip(crops[:2], theirs, strict=True):
            for crop, our_maps in zip(crops, ours, strict=True):
                if crop is not large:
                    losses.append(
                        self.order(
                            self._overlap(our_maps, crop, large),  # (B, S, C)
                            self._overlap(their_maps, large, crop),
                        )
                    )
        return dict(loss_order=torch.stack(losses).mean())

    def predict(self, images: Tensor) -> Prediction:
        """Cut crops and change their colors as ``loss`` does."""
        names = ['first crop', 'second crop', 'small crop']
        crops = self._seen(images)
        views = {n: c.images for n, c in zip(names, crops, strict=False)}
        return Prediction(views=views)

    def _seen(self, images: Tensor) -> list[Crop]:
        crops = self.crops(images)
        return [crop._replace(images=self.perturbation(crop.images)) for crop in crops]

    def _maps(self, network: nn.Module, crop: Crop) -> Tensor:
        """Project the patches of a crop, (B, C, h, w), of length 1."""
        tokens = network.backbone.encode(network.backbone.embed(crop.images))
        projected = unit(network.projector(tokens[:, 1:]))  # (B, h * w, C)
        grid = self.backbone.grid_of(crop.images)
        return projected.transpose(1, 2).unflatten(2, grid)

    def _overlap(self, maps: Tensor, own: Crop, other: Crop) -> Tensor:
        """Resample what two crops share to the grid of cells: (B, S, C)."""
        part = shared_part(own.boxes, other.boxes)
        return cut(maps, part, (self.cells, self.cells)).flatten(2).transpose(1, 2)
