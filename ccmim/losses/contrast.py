"""Contrast between the class tokens of the visible and the masked half.

n samples of a process, D width, C channels of the projection, R processes.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from ccmim.losses.cosine import cross_entropy_and_accuracy, products, unit
from ccmim.losses.gather import gather_constant, gather_with_grad, rank
from ccmim.precision import no_grad
from ccmim.ranges import Count, Positive
from ccmim.registry import MODELS


def info_nce(
    queries: Tensor, keys: Tensor, labels: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Compute the InfoNCE loss of unit vectors, in their precision.

    -log(exp(q.k+ / T) / sum over all k of exp(q.k / T)), averaged over the queries
    (https://arxiv.org/abs/1807.03748, eq. 4).

    Args:
        queries: Unit vectors of shape (n, C).
        keys: Unit vectors of shape (K, C).
        labels: Index of each query's positive key, of shape (n,).
        temperature: Divisor T of the cosine similarities.

    Returns:
        Scalar, log K when all keys are alike; and the fraction of queries whose own key
        is the nearest.
    """
    return cross_entropy_and_accuracy(products(queries, keys) / temperature, labels)


@MODELS.register_module()
class SingleViewContrast(nn.Module):
    """Align the class tokens of an image's visible and masked patches.

    The queries are this process's visible class tokens, the keys the masked class
    tokens of all processes; all other images are negatives. The loss is InfoNCE times
    2T, as in the published ccMIM (``models_ccmim.py``, ``forward_alignment_loss``).

    Args:
        in_dim: Width D of the backbone.
        hidden_dim: Width of the projector's hidden layer; ``in_dim`` when None.
        out_dim: Channels C of the projection.
        temperature: T of InfoNCE.
        grad: 'visible' for keys without gradient (published), 'both' for gradients on
            both sides, gathered over processes.
        batch_norm: 'local' for the projector's batch statistics of each process alone
            (published; differs from one process with the joined batch), 'global' for
            those of the joined batch of all processes.
        projector: False to contrast the class tokens as they are, as the published
            code did before 2023-03-17.
    """

    def __init__(
        self,
        in_dim: Count = 768,
        hidden_dim: Count | None = None,
        out_dim: Count = 256,
        temperature: Positive = 0.5,
        grad: Literal['visible', 'both'] = 'visible',
        batch_norm: Literal['local', 'global'] = 'local',
        projector: bool = True,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.grad = grad
        self.batch_norm = batch_norm
        self.projector: nn.Module = nn.Identity()
        if projector:
            self.projector = _projector(in_dim, hidden_dim or in_dim, out_dim)

    def key_gradient(self) -> AbstractContextManager[None]:
        """Return the context in which the masked patches must be encoded.

        Where the keys are constants their pass needs no gradient: the result is the
        same, and neither its memory nor its time is spent.
        """
        return no_grad() if self.grad == 'visible' else nullcontext()

    def forward(self, visible: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss of this process.

        Args:
            visible: Class tokens of the visible patches, of shape (n, D).
            masked: Class tokens of the masked patches, of shape (n, D).

        Returns:
            Scalar, 2T times InfoNCE, at least float32; and the fraction of images whose
            two halves are recognized among all images.
        """
        queries = self._project(visible)
        with self.key_gradient():
            keys = self._project(masked)
        gather = gather_constant if self.grad == 'visible' else gather_with_grad
        labels = torch.arange(len(queries), device=queries.device)
        labels += len(queries) * rank()
        loss, accuracy = info_nce(queries, gather(keys), labels, self.temperature)
        return 2 * self.temperature * loss, accuracy

    def _project(self, tokens: Tensor) -> Tensor:
        if self.batch_norm == 'local':
            projected = self.projector(tokens)
        else:
            start, stop = len(tokens) * rank(), len(tokens) * (rank() + 1)
            projected = self.projector(gather_with_grad(tokens))[start:stop]
        return unit(projected)


def _projector(in_dim: int, hidden_dim: int, out_dim: int) -> nn.Sequential:
    projector = nn.Sequential(
        nn.Linear(in_dim, hidden_dim, bias=False),
        nn.BatchNorm1d(hidden_dim),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_dim, out_dim, bias=False),
        nn.BatchNorm1d(out_dim, affine=False),
    )
    for layer in (projector[0], projector[3]):
        nn.init.xavier_uniform_(layer.weight)
    return projector
