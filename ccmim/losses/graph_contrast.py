"""Contrast between two corrupted graphs of an image's patches (GCA).

B batch, N patches, D width, C channels of the projection.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Len
from timm.layers import Mlp
from torch import Tensor, nn

from ccmim.losses.cosine import cross_entropy_and_accuracy, products, unit
from ccmim.masking.centrality import CENTRALITIES
from ccmim.masking.scorers import block_attention
from ccmim.precision import no_grad
from ccmim.ranges import Count, NonNegative, Positive, PositiveRatio, RatioBelowOne
from ccmim.registry import MODELS
from ccmim.vit import draw_linear

Rates = Annotated[Sequence[RatioBelowOne], Len(2, 2)]  # of the two views


@MODELS.register_module()
class GraphContrast(nn.Module):
    """Find each patch again in another corruption of the graph that it is part of.

    GCA (https://arxiv.org/abs/2010.14945), an extra loss of any method: the patches of
    an image are nodes, each joined to those that attend most to it. Edges are dropped
    and channels hidden in two ways, seldom where nodes are central; a graph network of
    two layers encodes both, and a node must find itself among all nodes of both. All
    patches are looked at once more for it.

    Args:
        in_dim: Width D of the backbone.
        hidden_dim: Width of the graph network's first layer.
        out_dim: Channels C of its second layer and of the projection.
        centrality: Of nodes: 'pagerank', 'degree' or 'eigenvector' of the attention;
            'uniform' to drop and hide all alike (GRACE).
        neighbors: Edges that each patch asks for.
        drop_edges: Mean probability that an edge is dropped, in each view.
        hide_channels: Likewise of channels, the same ones in all patches of an image.
        cap: Greatest such probability.
        temperature: Divisor of the cosines.
        weight: Factor of the loss.
        block: Whose attention, from the end where negative.
        positions: False to take the mean over images from each patch's features, and
            with it most of what tells where it is, since by that alone a node finds
            itself.
    """

    def __init__(
        self,
        in_dim: Count = 768,
        hidden_dim: Count = 256,
        out_dim: Count = 128,
        centrality: Literal[
            'pagerank', 'degree', 'eigenvector', 'uniform'
        ] = 'pagerank',
        neighbors: Count = 8,
        drop_edges: Rates = (0.3, 0.4),
        hide_channels: Rates = (0.1, 0.0),
        cap: PositiveRatio = 0.7,
        temperature: Positive = 0.4,
        weight: NonNegative = 0.1,
        block: int = -1,
        positions: bool = True,
    ) -> None:
        super().__init__()
        self.centrality = CENTRALITIES.get(centrality)
        self.neighbors, self.cap = neighbors, cap
        self.corruptions = tuple(zip(drop_edges, hide_channels, strict=True))
        self.temperature, self.weight = temperature, weight
        self.block, self.positions = block, positions
        self.first = nn.Linear(in_dim, hidden_dim)
        self.second = nn.Linear(hidden_dim, out_dim)
        self.projector = Mlp(out_dim, out_dim, out_dim, act_layer=nn.ELU)
        self.apply(draw_linear)

    def forward(self, backbone: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Compute the loss of normalized images (B, 3, H, W).

        Returns:
            ``loss_graph``, a weighted scalar; and ``graph_accuracy``, the fraction of
            nodes that find themselves: near 1 at once, they do so by their positions.
        """
        first = backbone.num_prefix
        rows = slice(first, None)
        attention = block_attention(backbone, images, self.block, rows)
        attention = attention.mean(dim=1)[:, :, first:]  # (B, N, N)
        nodes = backbone.encode(backbone.embed(images))[:, 1:]  # (B, N, D)
        nodes = nodes.to(torch.promote_types(nodes.dtype, torch.float32))
        if not self.positions:
            nodes = nodes - nodes.mean(dim=0)
        return self.contrast(nodes, attention)

    def contrast(self, nodes: Tensor, attention: Tensor) -> dict[str, Tensor]:
        """Compute the loss of nodes (B, N, D) joined by attention (B, N, N)."""
        edges = join(attention, self.neighbors)
        central = None if self.centrality is None else self.centrality(attention)
        views = []
        for edge_rate, channel_rate in self.corruptions:
            drop = edge_drop(edges, central, edge_rate, self.cap)
            noise = torch.rand(drop.shape, device=drop.device).triu(1)
            kept = edges & (noise + noise.transpose(1, 2) >= drop)
            hidden = channel_mask(nodes, central, channel_rate, self.cap)
            shown = torch.rand(hidden.shape, device=hidden.device) >= hidden
            views.append(self._encode(nodes * shown[:, None], kept))
        u, v = (unit(view) for view in views)
        both = [self._find(a, b) for a, b in ((u, v), (v, u))]
        loss, accuracy = (sum(values) / 2 for values in zip(*both, strict=True))
        return dict(loss_graph=self.weight * loss, graph_accuracy=accuracy)

    def _encode(self, x: Tensor, edges: Tensor) -> Tensor:
        # Kipf and Welling's layers, https://arxiv.org/abs/1609.02907, eq. 2.
        own = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        joined = (edges | own).to(x.dtype)
        root = joined.sum(dim=2).rsqrt()
        joined = root[:, :, None] * joined * root[:, None]
        x = F.relu(products(joined, self.first(x).to(joined.dtype).transpose(1, 2)))
        x = F.relu(products(joined, self.second(x).to(joined.dtype).transpose(1, 2)))
        return self.projector(x)

    def _find(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        # Among the nodes of the other view, and those of its own but itself.
        own = torch.eye(u.shape[1], dtype=torch.bool, device=u.device)
        within = products(u, u).masked_fill(own, -torch.inf)
        logits = torch.cat([products(u, v), within], dim=2) / self.temperature
        target = torch.arange(u.shape[1], device=u.device).repeat(len(u))
        return cross_entropy_and_accuracy(logits.flatten(0, 1), target)


@no_grad()
def join(attention: Tensor, neighbors: int) -> Tensor:
    """Join each patch to those that it shares most attention with, both ways.

    Args:
        attention: Of shape (B, N, N), rows of sum 1.
        neighbors: How many a patch asks for; all others where there are fewer.

    Returns:
        True where there is an edge, of shape (B, N, N): symmetric, none to itself.
    """
    mutual = attention + attention.transpose(1, 2)
    mutual.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    nearest = mutual.topk(min(neighbors, mutual.shape[1] - 1), dim=2).indices
    edges = torch.zeros_like(mutual, dtype=torch.bool).scatter_(2, nearest, True)
    return edges | edges.transpose(1, 2)


@no_grad()
def edge_drop(edges: Tensor, central: Tensor | None, rate: float, cap: float) -> Tensor:
    """Compute with which probability each edge is dropped: (B, N, N).

    An edge is as central as its two ends: the sum of the logarithms.

    Args:
        edges: Where there is one, of shape (B, N, N).
        central: Of the nodes, positive, of shape (B, N); None to drop all alike.
        rate: The mean, where ``cap`` cuts nothing.
        cap: The greatest probability.
    """
    if central is None:
        return torch.full_like(edges, min(rate, cap), dtype=torch.float32)
    score = central.float().clamp(min=torch.finfo(torch.float32).tiny).log()
    score = score[:, :, None] + score[:, None]
    return _probabilities(score.flatten(1), edges.flatten(1), rate, cap).view_as(score)


@no_grad()
def channel_mask(
    nodes: Tensor, central: Tensor | None, rate: float, cap: float
) -> Tensor:
    """Compute with which probability each channel of an image is hidden: (B, D).

    A channel is as important as it is large in central nodes.
    """
    shape = nodes.shape[0], nodes.shape[2]
    if central is None or not rate:
        return nodes.new_full(shape, min(rate, cap))
    score = (nodes.abs() * central[:, :, None]).sum(dim=1)
    score = score.clamp(min=torch.finfo(score.dtype).tiny).log()
    return _probabilities(score, torch.ones_like(score, dtype=torch.bool), rate, cap)


def _probabilities(score: Tensor, real: Tensor, rate: float, cap: float) -> Tensor:
    # The most important is never dropped, the average one at the rate.
    highest = score.masked_fill(~real, -torch.inf).amax(dim=1, keepdim=True)
    total = score.masked_fill(~real, 0.0).sum(dim=1, keepdim=True)
    mean = total / real.sum(dim=1, keepdim=True)
    span = highest - mean
    weight = torch.where(span > 1e-6, (highest - score) / span, 1.0)
    return (weight * rate).clamp(0, cap)
