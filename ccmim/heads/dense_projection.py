"""The class token and cells of the image, each brought to a space of its own.

B batch, S cells, D width, C channels of the projection.
"""

import torch
from timm.layers import Mlp
from torch import Tensor, nn

from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.vit import draw_linear


@MODELS.register_module()
class DenseProjection(nn.Module):
    """Project the class token by one perceptron and the cells by another.

    Each has one hidden layer and no batch norm, as in MoCo v2 and DenseCL.

    Args:
        in_dim: Width D of the encoder.
        hidden_dim: Width of the hidden layers.
        out_dim: Channels C.
    """

    def __init__(
        self, in_dim: Count = 768, hidden_dim: Count = 2048, out_dim: Count = 128
    ) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.whole = Mlp(in_dim, hidden_dim, out_dim, act_layer=nn.ReLU)
        self.cells = Mlp(in_dim, hidden_dim, out_dim, act_layer=nn.ReLU)
        self.apply(draw_linear)

    def forward(self, tokens: Tensor) -> Tensor:
        """Project tokens (B, 1 + S, D), the class token first, to (B, 1 + S, C)."""
        return torch.cat([self.whole(tokens[:, :1]), self.cells(tokens[:, 1:])], dim=1)
