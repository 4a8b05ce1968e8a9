"""Attention is softmax(q k^T / sqrt(C)) v, whichever kernel computes it."""

import pytest
import torch

from ccmim.vit.attention import Attention


def formula(layer, x, seen=None):
    """Written from the formula, a head at a time, in float64."""
    batch, length, dim = x.shape
    width = dim // layer.num_heads
    q, k, v = (x @ layer.qkv.weight.T + layer.qkv.bias).split(dim, dim=-1)
    heads = []
    for h in range(layer.num_heads):
        part = slice(h * width, (h + 1) * width)
        logits = torch.einsum('bic,bjc->bij', q[..., part], k[..., part]) / width**0.5
        if seen is not None:
            logits[:, : seen.shape[1]].masked_fill_(~seen, -torch.inf)
        weights = torch.softmax(logits, dim=-1)
        heads.append(torch.einsum('bij,bjc->bic', weights, v[..., part]))
    return torch.cat(heads, dim=-1) @ layer.proj.weight.T + layer.proj.bias


def run(layer, x, attend):
    x = x.clone().requires_grad_()
    out = attend(x)
    out.float().square().sum().backward()
    grads = [x.grad, *(p.grad.clone() for p in layer.parameters())]
    layer.zero_grad()
    return [out.detach(), *grads]


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return Attention(24, num_heads=3)


@pytest.mark.parametrize('seen', [None, torch.eye(7, dtype=bool)[:3].expand(2, 3, 7)])
def test_values_and_gradients_are_those_of_the_formula(layer, seen):
    layer, x = layer.double(), torch.randn(2, 7, 24, dtype=torch.float64)
    ours = run(layer, x, lambda x: layer(x, seen=seen))
    theirs = run(layer, x, lambda x: formula(layer, x, seen))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_differs_by_its_rounding_only(layer, dtype):
    # With gradients, a CPU takes two matrix products for the fused kernel.
    x = torch.randn(2, 7, 24)
    expected = run(layer, x, lambda x: formula(layer, x))

    def half(x):
        with torch.autocast('cpu', dtype):
            return layer(x)

    for a, b in zip(run(layer, x, half), expected, strict=True):
        assert (a - b).norm() < 0.02 * b.norm()
    with torch.no_grad():
        assert (half(x) - expected[0]).norm() < 0.02 * expected[0].norm()
