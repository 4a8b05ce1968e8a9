"""Features of a frozen ViT of this library as targets.

B batch, N patches of the student, C channels of the teacher.
"""

import torch
from torch import Tensor, nn

from ccmim.checkpoints import build_backbone, load_backbone
from ccmim.checkpoints.normalization import MEAN, STD
from ccmim.ranges import Channels, HeightWidth, Part, Sides, Spreads
from ccmim.registry import MODELS
from ccmim.teachers.frozen import (
    Frozen,
    Renormalize,
    require_weights,
    resize_images,
)


@MODELS.register_module()
class ViTTeacher(nn.Module):
    """A Vision Transformer of this library, such as another pretraining run's.

    Patch side, width and size of images may differ from the student's.

    Args:
        backbone: Config of the Vision Transformer; that of the weights when None.
        grid: Rows and columns of the student's patches.
        checkpoint: Its weights, as ``ccmim.checkpoints.read_weights`` takes them: a
            checkpoint of a run, another file or folder, ``timm:NAME``, ``hf:NAME``.
        img_size: Side or height and width in pixels at which it sees the images; its
            features are then resampled to the grid. When None, the size at which its
            grid is the student's.
        mean: What the data preprocessor subtracts, by channel, in 0..255; images are
            brought to the normalization that the weights are for.
        std: What it divides by, by channel.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not fit the backbone.
    """

    def __init__(
        self,
        backbone: Part | None = None,
        grid: HeightWidth = (14, 14),
        checkpoint: str | None = None,
        img_size: Sides | None = None,
        mean: Channels = MEAN,
        std: Spreads = STD,
    ) -> None:
        super().__init__()
        self.grid = tuple(grid)
        if (backbone or {}).get('init_cfg'):
            raise ValueError(
                'teacher.backbone.init_cfg is not read: set teacher.checkpoint instead'
            )
        self.has_weights = bool(checkpoint)
        require_weights(bool(checkpoint or backbone), 'or its backbone')
        if backbone is None:
            patch = build_backbone(checkpoint).patch_size
        else:
            patch = backbone.get('patch_size', 16)
        self.size = [side * patch for side in grid]
        if img_size is not None:
            self.size = [img_size] * 2 if isinstance(img_size, int) else list(img_size)
        if backbone is None:
            network = build_backbone(checkpoint, img_size=self.size)
        else:
            network = MODELS.build(dict(backbone, img_size=self.size))
            if checkpoint:
                load_backbone(network, checkpoint)
        self.out_dim = network.embed_dim
        self.renormalize = Renormalize(mean, std, network.default_cfg)
        self.frozen = Frozen(network)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Compute features (B, N, C) of normalized images (B, 3, H, W), row by row."""
        network = self.frozen.network
        images = self.renormalize(resize_images(images, self.size))
        tokens = network.embed(images)
        features = network.encode(tokens)[:, 1:]
        if network.grid == self.grid:
            return features
        maps = features.transpose(1, 2).unflatten(2, network.grid)
        return resize_images(maps, list(self.grid)).flatten(2).transpose(1, 2)

    def init_weights(self) -> None:
        """Refuse to train from a teacher that knows nothing."""
        require_weights(self.has_weights, 'such as the checkpoint of a pretraining run')
