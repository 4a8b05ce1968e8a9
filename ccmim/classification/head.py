"""Classification heads. B batch, D width, C classes."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ccmim.ranges import Count, Positive
from ccmim.registry import MODELS
from ccmim.vit import LayerNorm

NORMS = {
    'none': nn.Identity,
    'layer': LayerNorm,  # MAE's fc_norm
    'batch': partial(nn.BatchNorm1d, eps=1e-6, affine=False),
}


@MODELS.register_module()
class ClassHead(nn.Module):
    """A norm and a linear layer, in float32.

    Args:
        in_dim: Width D of a feature.
        num_classes: Number of classes C.
        norm: 'layer' for a layer norm, which takes the place of the backbone's in
            fine-tuning; 'batch' for a batch norm without parameters, which makes one
            learning rate fit the features of all methods in a linear probe; or 'none'.
        init_std: Standard deviation of the first weights.
    """

    def __init__(
        self,
        in_dim: Count,
        num_classes: Count,
        norm: Literal['layer', 'batch', 'none'] = 'none',
        init_std: Positive = 0.01,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.norm = NORMS[norm](in_dim)
        self.fc = nn.Linear(in_dim, num_classes)
        nn.init.trunc_normal_(self.fc.weight, std=init_std)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Score the classes: (B, D) to (B, C)."""
        # A score in bf16 has three digits; the head costs next to nothing.
        with torch.autocast(features.device.type, enabled=False):
            return self.fc(self.norm(features.to(self.fc.weight.dtype)))
