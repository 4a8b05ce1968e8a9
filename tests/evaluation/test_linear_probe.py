"""The linear probe is at its optimum, whatever the scale of the features."""

import pytest
import torch

from ccmim.evaluation import fit_linear, linear_accuracy
from ccmim.evaluation.linear import fit_probe


def _clouds(count, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    centers = torch.eye(3, 5)
    noise = 0.6 * torch.randn(count, 5, generator=generator)
    return (centers[labels] + noise).double(), labels


def test_the_gradient_is_zero_at_the_end():
    """Written out by hand: the mean error of each class, plus the regularisation."""
    features, labels = _clouds(300, 0)
    weights = fit_linear(features, labels, l2=0.01)
    inputs = torch.cat([features, torch.ones(300, 1)], 1)
    shares = torch.exp(inputs @ weights)
    shares = shares / shares.sum(1, keepdim=True)
    errors = shares - torch.eye(3)[labels]
    gradient = inputs.T @ errors / 300
    gradient[:-1] += 0.01 * weights[:-1]
    assert gradient.abs().max() < 1e-6
    assert abs(weights.numpy()).max() > 0.5  # without a gradient
    with pytest.raises(ValueError, match='l2'):
        fit_linear(features, labels, l2=0.0)


def test_it_classifies_and_draws_no_random_number():
    train, test = _clouds(300, 0), _clouds(200, 1)
    found = linear_accuracy(*train, *test)
    inputs = (train[0] - (probe := fit_probe(*train)).mean) / probe.std
    torch.testing.assert_close(inputs.square().mean(0), torch.ones(5).double())
    expected = inputs @ probe.weights[:-1] + probe.weights[-1]
    torch.testing.assert_close(probe.scores(train[0]), expected)
    assert fit_probe(train[0].float(), train[1]).weights.dtype == torch.double
    torch.manual_seed(123)
    assert linear_accuracy(*train, *test) == found
    assert 75 < found < 100
    shuffled = train[1][torch.randperm(300)]
    assert linear_accuracy(train[0], shuffled, *test) < 50


def test_neither_the_scale_of_a_channel_nor_a_dead_one_matters():
    (train, labels), (test, expected) = _clouds(300, 0), _clouds(200, 1)
    scale = torch.tensor([1e-3, 1.0, 1e4, 1.0, 7.0])
    plain = linear_accuracy(train, labels, test, expected)
    moved = [torch.cat([x * scale + 5, x[:, :1] * 0 + 1], 1) for x in (train, test)]
    assert linear_accuracy(moved[0], labels, moved[1], expected) == plain


def test_channels_are_centred_by_the_training_images():
    """Test images that are all of one class must not be brought to the middle."""
    train = torch.tensor([[-1.0], [-0.8], [0.9], [1.1]])
    labels = torch.tensor([0, 0, 1, 1])
    test = torch.tensor([[0.7], [0.9], [1.0], [5.0]])
    assert linear_accuracy(train, labels, test, torch.ones(4).long()) == 100
