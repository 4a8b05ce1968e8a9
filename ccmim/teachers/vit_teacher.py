"""Features of a frozen network of this library as what a hidden patch must become.

B batch, N patches of the student, C channels of the teacher.
"""

import torch
from torch import Tensor, nn

from ccmim.ranges import HeightWidth, Part
from ccmim.registry import MODELS
from ccmim.teachers.frozen import Frozen, require_weights, resize_images


@MODELS.register_module()
class ViTTeacher(nn.Module):
    """A Vision Transformer of this library, such as another pretraining run's.

    Args:
        backbone: Config of the Vision Transformer; its image size follows the grid.
        grid: Rows and columns of the student's patches.
        checkpoint: File with its weights: a checkpoint of a run, or what else
            ``ccmim.checkpoints.load_backbone`` reads.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not fit the backbone.
    """

    def __init__(
        self,
        backbone: Part,
        grid: HeightWidth,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        if backbone.get('init_cfg'):
            raise ValueError(
                'teacher.backbone.init_cfg is not read: set teacher.checkpoint instead'
            )
        self.size = [side * backbone.get('patch_size', 16) for side in grid]
        network = MODELS.build(dict(backbone, img_size=self.size))
        self.has_weights = bool(checkpoint)
        if checkpoint:
            from ccmim.checkpoints import load_backbone

            load_backbone(network, checkpoint)
        self.out_dim = network.embed_dim
        self.frozen = Frozen(network)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Compute features (B, N, C) of normalised images (B, 3, H, W), row by row."""
        network = self.frozen.network
        return network.encode(network.embed(resize_images(images, self.size)))[:, 1:]

    def init_weights(self) -> None:
        """Refuse to train from a teacher that knows nothing."""
        require_weights(self.has_weights, 'such as the checkpoint of a pretraining run')
