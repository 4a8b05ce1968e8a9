"""A linear probe on frozen features, fitted to convergence.

n training images or patches, m test images, D width, C classes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ccmim.ranges import Count, Positive, in_ranges


@in_ranges
def fit_linear(
    features: Tensor, labels: Tensor, l2: Positive = 1e-3, max_steps: Count = 500
) -> Tensor:
    """Fit an L2-regularised logistic regression by L-BFGS, from zero.

    Minimises the mean cross entropy plus ``l2 / 2`` times the squared weights, without
    the bias: scikit-learn's ``LogisticRegression`` with ``C = 1 / (l2 * n)``.

    Args:
        features: Of shape (n, D), of comparable scale.
        labels: Classes (n,), or how much of each they are, (n, C).
        l2: Strength of the regularisation, positive.
        max_steps: Steps after which to stop wherever it is.

    Returns:
        Weights (D + 1, C), the bias last.

    Raises:
        ValueError: If ``l2`` is not positive.
    """
    inputs = F.pad(features, (0, 1), value=1.0)
    count = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    weights = inputs.new_zeros(inputs.shape[1], count)
    weights.requires_grad_()
    solver = torch.optim.LBFGS(
        [weights],
        max_iter=max_steps,
        tolerance_grad=1e-6,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn='strong_wolfe',
    )

    def objective() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(inputs @ weights, labels)
        loss = loss + l2 / 2 * weights[:-1].square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(objective)
    return weights.detach()


class LinearProbe(NamedTuple):
    """A linear classifier of features, each channel of which is normalized first.

    Attributes:
        weights: Of shape (D + 1, C), the bias last.
        mean: What is subtracted, (D,).
        std: What is divided by, (D,).
    """

    weights: Tensor
    mean: Tensor
    std: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """Score the classes of features (m, D): (m, C)."""
        inputs = (features - self.mean) / self.std
        return F.pad(inputs, (0, 1), value=1.0) @ self.weights


def fit_probe(train: Tensor, labels: Tensor, l2: float = 1e-3) -> LinearProbe:
    """Fit a linear probe, without augmentation.

    Every channel is brought to mean 0 and variance 1 of the training images, as the
    batch norm of MAE's probe does. No random number is drawn. For sets that fit into
    memory; the recipe for ImageNet is ``mm_configs/classification/linear_*``.

    Args:
        train: Features (n, D).
        labels: Classes (n,).
        l2: See ``fit_linear``.
    """
    train = train.double()
    mean, std = train.mean(0), train.std(0, correction=0).clamp(min=1e-6)
    return LinearProbe(fit_linear((train - mean) / std, labels, l2), mean, std)


def linear_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    l2: float = 1e-3,
) -> float:
    """Compute the accuracy of a linear probe; see ``fit_probe``.

    Args:
        train: Features (n, D).
        train_labels: Classes (n,).
        test: Features (m, D).
        test_labels: Classes (m,).
        l2: See ``fit_linear``.

    Returns:
        Percent, in [0, 100].
    """
    predicted = fit_probe(train, train_labels, l2).scores(test).argmax(1)
    return 100 * (predicted == test_labels).double().mean().item()
