"""A frozen copy of the network as it was when training began.

B batch, H W image, N patches, D width.
"""

import copy
from typing import Any

import torch.nn.functional as F
from mmengine.logging import MessageHub
from torch import Tensor, nn

from ccmim.precision import no_grad
from ccmim.teachers.ema_teacher import started_if_loaded


class FrozenStart(nn.Module):
    """A copy of the backbone that keeps the weights of the first step.

    It takes them over at the first step in training, however they were loaded, and is
    part of the checkpoint, so that a resumed run holds on to the same weights.

    Args:
        backbone: The Vision Transformer in training.
        scale: Enlargement of the images that the copy sees, at least 1.
        renew_interval: Steps after which it takes over the weights again; 0 for never.

    Raises:
        ValueError: If images cannot be enlarged, as positions are those of one grid, or
            not by so much, as patches would not fill them.
    """

    def __init__(
        self, backbone: Any, scale: float = 1.0, renew_interval: int = 0
    ) -> None:
        super().__init__()
        if scale != 1 and backbone.needs_all:
            raise ValueError(
                f'anchor.scale={scale} must be 1: {backbone.needs_all} is for the '
                'grid of img_size alone'
            )
        if any(side * scale % 1 for side in backbone.grid):
            raise ValueError(
                f'anchor.scale={scale} makes no whole patches of the '
                f'{" x ".join(map(str, backbone.grid))} of an image: take 2'
            )
        self.backbone = copy.deepcopy(backbone).requires_grad_(False).eval()
        self.scale = scale
        self.renew_interval = renew_interval
        self.started = False
        self.register_load_state_dict_pre_hook(started_if_loaded)

    @no_grad()
    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Compute the normed tokens of all patches, without a gradient.

        Args:
            backbone: The network in training, whose weights are taken over when due.
            images: Normalized images of shape (B, 3, H, W).

        Returns:
            Tokens of shape (B, N, D), on the grid that the images have by themselves.
        """
        if self.training and self._is_due():
            self.backbone.load_state_dict(backbone.state_dict())
            self.started = True
        grid = self.backbone.grid_of(images)
        if self.scale == 1:
            return self._tokens(images)
        large = F.interpolate(
            images, scale_factor=self.scale, mode='bicubic', antialias=False
        )
        rows, columns = self.backbone.grid_of(large)
        maps = self._tokens(large).transpose(1, 2).unflatten(2, (rows, columns))
        small = F.interpolate(maps.float(), grid, mode='bicubic')
        return small.flatten(2).transpose(1, 2)

    def train(self, mode: bool = True) -> 'FrozenStart':
        """Switch training mode; the network itself stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def _is_due(self) -> bool:
        if not self.started or not self.renew_interval:
            return not self.started
        step = MessageHub.get_current_instance().get_info('iter', 0)
        return step > 0 and step % self.renew_interval == 0

    def _tokens(self, images: Tensor) -> Tensor:
        tokens: Any = self.backbone.embed(images)
        return self.backbone.encode(tokens)[:, 1:]
