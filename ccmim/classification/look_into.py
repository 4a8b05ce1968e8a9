"""LIO: object extent and spatial context beside supervised fine-tuning.

B batch, N patches, D width.
"""

from torch import Tensor, nn

from ccmim.ranges import Count, HeightWidth, Part
from ccmim.registry import MODELS, build_part


@MODELS.register_module()
class LookIntoObject(nn.Module):
    """Learn of each image where its object is and how its parts lie.

    LIO (https://arxiv.org/abs/2003.14142), an extra loss of a ``Classifier`` in
    training; nothing of it is there in testing.

    Args:
        in_dim: Width D of the patches.
        extent: Config of the object-extent loss; None to use all patches.
        context: Config of the spatial-context loss; None for none.

    Raises:
        ValueError: If both are None.
    """

    def __init__(
        self,
        in_dim: Count = 768,
        extent: Part | None = None,
        context: Part | None = None,
    ) -> None:
        super().__init__()
        if extent is None and context is None:
            raise ValueError(
                'LookIntoObject has neither extent nor context: set one, or leave '
                'model.extra out'
            )
        self.extent = None if extent is None else build_part(extent, in_dim=in_dim)
        self.context = None if context is None else build_part(context, in_dim=in_dim)

    def forward(
        self, patches: Tensor, grid: HeightWidth, labels: Tensor
    ) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            patches: Of shape (B, N, D).
            grid: Their rows and columns.
            labels: Classes (B,).

        Returns:
            ``loss_extent`` and ``loss_context``, weighted scalars; and
            ``with_partner``, the fraction of images with another one of their class
            in the batch.
        """
        losses, extent = {}, None
        if self.extent is not None:
            extent, losses['loss_extent'], seen = self.extent(patches, labels)
            losses['with_partner'] = seen
        if self.context is not None:
            extent = None if extent is None else extent.detach()
            losses['loss_context'] = self.context(patches, grid, extent)
        return losses
