"""Score patches by their centrality in the attention graph.

B batch, N patches. An edge from i to j weighs as much as patch i attends to patch j.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from ccmim.masking.scorers import block_attention
from ccmim.precision import no_grad
from ccmim.registry import MODELS

STEPS = 100  # 0.85 ** 100 is 9e-8: what PageRank has left to settle


def degree(weights: Tensor) -> Tensor:
    """Sum what flows into each node: (B, N, N) to (B, N)."""
    return weights.sum(dim=1)


def eigenvector(weights: Tensor) -> Tensor:
    """Rate nodes by the rates of those that point to them.

    The left eigenvector of the greatest eigenvalue, by power iteration. Attention is
    positive, so there is one, and it is positive (Perron and Frobenius).

    Args:
        weights: Positive, of shape (B, N, N).

    Returns:
        Rates of shape (B, N), each row of sum 1.
    """
    return _settle(weights, jump=0.0)


def pagerank(weights: Tensor, jump: float = 0.15) -> Tensor:
    """Compute how often a walker is at each node who follows edges by their weights.

    At each step he jumps to any node with the probability ``jump``.

    Args:
        weights: Positive, of shape (B, N, N).
        jump: In [0, 1].

    Returns:
        Probabilities of shape (B, N).
    """
    return _settle(weights / weights.sum(dim=2, keepdim=True), jump)


CENTRALITIES: dict[str, Callable[[Tensor], Tensor]] = dict(
    degree=degree, eigenvector=eigenvector, pagerank=pagerank
)


@MODELS.register_module()
class CentralityScorer(nn.Module):
    """Score patches by how central they are among the patches that attend to them.

    The class token has no part in it. Graph contrast drops edges by the same measures
    (https://arxiv.org/abs/2010.14945).

    Args:
        centrality: 'degree', 'eigenvector' or 'pagerank'.
        block: Whose attention, averaged over heads, from the end where negative.
    """

    def __init__(
        self,
        centrality: Literal['degree', 'eigenvector', 'pagerank'] = 'pagerank',
        block: int = -1,
    ) -> None:
        super().__init__()
        self.centrality = CENTRALITIES[centrality]
        self.block = block

    @no_grad()
    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalized images (B, 3, H, W): (B, N), positive."""
        first = backbone.num_prefix
        rows = slice(first, None)
        attention = block_attention(backbone, images, self.block, rows)
        return self.centrality(attention.mean(dim=1)[:, :, first:])


def _settle(weights: Tensor, jump: float) -> Tensor:
    num_nodes = weights.shape[1]
    x = weights.new_full((len(weights), 1, num_nodes), 1 / num_nodes)
    with torch.autocast(weights.device.type, enabled=False):
        for _ in range(STEPS):
            x = (1 - jump) * (x @ weights) + jump / num_nodes
            x = x / x.sum(dim=2, keepdim=True)
    return x[:, 0]
