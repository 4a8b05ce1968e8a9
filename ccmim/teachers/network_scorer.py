"""Scores from a network other than the one being trained.

B batch, N patches.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.checkpoints import build_backbone
from ccmim.checkpoints.normalization import MEAN, STD
from ccmim.precision import no_grad
from ccmim.ranges import Channels, Part, Ratio, Sides, Spreads
from ccmim.registry import MODELS
from ccmim.teachers.ema_teacher import EMATeacher
from ccmim.teachers.frozen import Frozen, Renormalize, resize_images

_ATTENTION = dict(type='ccmim.ClassAttentionScorer', blocks=[-1])


@MODELS.register_module()
class FrozenScorer(nn.Module):
    """Score patches with a trained network that stays as it is.

    A network at the start of its own training attends to nothing in particular; this
    one has learnt what stands out. It is no part of checkpoints. Costs one pass of it
    without a gradient.

    Args:
        checkpoint: Its weights: a file or folder of any known layout, ``timm:NAME`` or
            ``hf:OWNER/NAME``. Patch side and width may differ from the student's.
        scorer: Config of what scores patches in it; the attention of the class token
            in the last block when None.
        img_size: Side, or height and width in pixels, at which it sees the images,
            rounded to multiples of its patches; a method gives its own. Scores on
            another grid than the student's are resampled.
        mean: What the data preprocessor subtracts, by channel, in 0..255; images are
            brought to the normalization that the weights are for.
        std: What it divides by, by channel.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the weights cannot be read.
    """

    def __init__(
        self,
        checkpoint: str,
        scorer: Part | None = None,
        img_size: Sides | None = None,
        mean: Channels = MEAN,
        std: Spreads = STD,
    ) -> None:
        super().__init__()
        self.scorer = MODELS.build(scorer or _ATTENTION)
        network = build_backbone(checkpoint)
        if img_size is not None:
            sides = [img_size] * 2 if isinstance(img_size, int) else img_size
            patch = network.patch_size
            sides = [max(round(side / patch), 1) * patch for side in sides]
            network = build_backbone(checkpoint, img_size=sides)
        self.size = [side * network.patch_size for side in network.grid]
        self.renormalize = Renormalize(mean, std, network.default_cfg)
        self.frozen = Frozen(network)

    @no_grad()
    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalized images (B, 3, H, W): (B, N), at least 0."""
        network, grid = self.frozen.network, backbone.grid_of(images)
        images = self.renormalize(resize_images(images, self.size))
        scores = self.scorer(network, images)
        if network.grid == grid:
            return scores
        maps = scores.unflatten(1, network.grid)[:, None]
        maps = F.interpolate(maps, grid, mode='bilinear', antialias=True)
        return maps.flatten(1)


@MODELS.register_module()
class MomentumScorer(nn.Module):
    """Score patches with a slow copy of the network in training.

    The copy follows as `EMATeacher` says and is part of checkpoints.

    Args:
        network: The Vision Transformer in training; a method gives its own.
        scorer: Config of what scores patches in the copy; the attention of the class
            token in the last block when None.
        momentum: Share of its weights that the copy keeps at the first step.
        last_momentum: The same at the last step.
    """

    def __init__(
        self,
        network: nn.Module,
        scorer: Part | None = None,
        momentum: Ratio = 0.996,
        last_momentum: Ratio = 1.0,
    ) -> None:
        super().__init__()
        self.scorer = MODELS.build(scorer or _ATTENTION)
        self.teacher = EMATeacher(network, nn.Identity(), momentum, last_momentum)

    @no_grad()
    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalized images (B, 3, H, W): (B, N), at least 0."""
        self.teacher.update(backbone, nn.Identity())
        return self.scorer(self.teacher.backbone, images)
