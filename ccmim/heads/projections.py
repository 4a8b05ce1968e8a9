"""Linear and MLP projections of tokens.

B batch, S cells, D width, C channels of the projection.
"""

from itertools import pairwise

import torch
from timm.layers import Mlp
from torch import Tensor, nn

from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.vit import draw_linear


@MODELS.register_module()
class LinearHead(nn.Module):
    """Predict each patch from its own token.

    With 3 * P * P outputs it is the head of SimMIM, whose convolution and shuffle of
    pixels are this layer up to the order of the outputs.

    Args:
        in_dim: Width D of the encoder.
        out_dim: Numbers to predict for a patch.
    """

    def __init__(self, in_dim: Count = 768, out_dim: Count = 768) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.pred = nn.Linear(in_dim, out_dim)
        self.apply(draw_linear)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, n, D) to predictions (B, n, out_dim)."""
        return self.pred(tokens)


@MODELS.register_module()
class ProjectionHead(nn.Module):
    """Project tokens, with batch norm over all tokens of all images of a process.

    Linear layers without bias, batch norm and ReLU between them, and after the last one
    a batch norm without scale and shift, as in SimCLR and ConMIM.

    Args:
        in_dim: Width D of the encoder.
        hidden_dim: Width of the hidden layers.
        out_dim: Channels C of the projection.
        num_layers: Number of linear layers.
    """

    def __init__(
        self,
        in_dim: Count = 768,
        hidden_dim: Count = 4096,
        out_dim: Count = 256,
        num_layers: Count = 3,
    ) -> None:
        super().__init__()
        self.out_dim = out_dim
        dims = [in_dim, *[hidden_dim] * (num_layers - 1), out_dim]
        layers: list[nn.Module] = []
        for i in range(num_layers):
            last = i == num_layers - 1
            layers += [
                nn.Linear(dims[i], dims[i + 1], bias=False),
                nn.BatchNorm1d(dims[i + 1], affine=not last),
            ]
            layers += [] if last else [nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.apply(draw_linear)

    def forward(self, tokens: Tensor) -> Tensor:
        """Project tokens (B, n, D) to (B, n, C)."""
        return self.layers(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])


@MODELS.register_module()
class MLPProjection(nn.Module):
    """Project each token alone: linear layers with GELU between them, as in NeCo.

    Args:
        in_dim: Width D of the encoder.
        hidden_dim: Width of the hidden layers.
        out_dim: Channels C of the projection.
        num_layers: Number of linear layers.
    """

    def __init__(
        self,
        in_dim: Count = 768,
        hidden_dim: Count = 2048,
        out_dim: Count = 256,
        num_layers: Count = 3,
    ) -> None:
        super().__init__()
        self.out_dim = out_dim
        dims = [in_dim, *[hidden_dim] * (num_layers - 1), out_dim]
        layers: list[nn.Module] = []
        for before, after in pairwise(dims):
            layers += [nn.Linear(before, after), nn.GELU()]
        self.layers = nn.Sequential(*layers[:-1])
        self.apply(draw_linear)

    def forward(self, tokens: Tensor) -> Tensor:
        """Project tokens (B, n, D) to (B, n, C)."""
        return self.layers(tokens)


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
