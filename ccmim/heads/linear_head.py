"""One linear layer from tokens to what they must become."""

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
        self.pred = nn.Linear(in_dim, out_dim)
        self.apply(draw_linear)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, n, D) to predictions (B, n, out_dim)."""
        return self.pred(tokens)
