"""A multi-layer perceptron from tokens to the space in which they are compared."""

from torch import Tensor, nn

from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.vit import draw_linear


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
