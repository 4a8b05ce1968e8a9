"""The single-view contrast equals its formula, and its gradients go where they say."""

import math

import numpy as np
import pytest
import torch

from ccmim.losses import (
    PatchContrast,
    QueueContrast,
    SingleViewContrast,
    TwoViewContrast,
    gather_constant,
    gather_with_grad,
    info_nce,
    products,
    unit,
)
from ccmim.losses.gather import sum_constant
from ccmim.masking import TokenSplit


def _unit(*shape):
    x = torch.randn(*shape, dtype=torch.float64)
    return x / x.norm(dim=-1, keepdim=True)


def _all_masked(batch, patches):
    ids = torch.arange(patches).expand(batch, -1)
    return TokenSplit(ids[:, :0], ids, torch.ones(batch, patches, dtype=torch.bool))


def test_info_nce_against_a_slow_loop():
    """-log(exp(q.k+ / T) / sum_k exp(q.k / T)), query by query in numpy."""
    queries, keys, temperature = _unit(5, 8), _unit(7, 8), 0.3
    labels = torch.tensor([6, 0, 3, 3, 1])
    total = 0.0
    for query, label in zip(queries.numpy(), labels.tolist(), strict=True):
        similarities = [np.exp(query @ key / temperature) for key in keys.numpy()]
        total -= math.log(similarities[label] / sum(similarities))
    ours = info_nce(queries, keys, labels, temperature)[0].item()
    assert ours == pytest.approx(total / 5, abs=1e-12)


def test_info_nce_of_orthogonal_pairs():
    """n orthonormal pairs: log(1 + (n - 1) exp(-1 / T))."""
    eye = torch.eye(6, dtype=torch.float64)
    expected = math.log(1 + 5 * math.exp(-1 / 0.5))
    loss, accuracy = info_nce(eye, eye, torch.arange(6), 0.5)
    assert loss.item() == pytest.approx(expected)
    assert accuracy == 1
    swapped = eye[[0, 1, 2, 3, 5, 4]]
    assert info_nce(swapped, eye, torch.arange(6), 0.5)[1] == pytest.approx(4 / 6)
    collapsed = eye[:1].expand(6, 6)  # all alike: as good as chance
    loss, accuracy = info_nce(collapsed, collapsed, torch.arange(6), 0.5)
    assert loss.item() == pytest.approx(math.log(6))
    assert accuracy == pytest.approx(1 / 6)


def test_scale_is_twice_the_temperature():
    """Without a projector: 2T times InfoNCE of the normalized class tokens."""
    visible, masked = torch.randn(2, 6, 8, dtype=torch.float64)
    for temperature in (0.2, 0.5):
        contrast = SingleViewContrast(8, temperature=temperature, projector=False)
        unit = [x / x.norm(dim=1, keepdim=True) for x in (visible, masked)]
        plain, _ = info_nce(*unit, torch.arange(6), temperature)
        ours, _ = contrast(visible, masked)
        assert ours.item() == pytest.approx(2 * temperature * plain.item())


def test_published_keys_have_no_gradient():
    contrast = SingleViewContrast(8, out_dim=4).double()
    visible, masked = torch.randn(2, 6, 8, dtype=torch.float64)
    visible.requires_grad_(), masked.requires_grad_()
    contrast(visible, masked)[0].backward()
    assert masked.grad is None
    assert visible.grad.norm() > 0
    with contrast.key_gradient():
        assert not torch.is_grad_enabled()


def test_both_sides_get_a_gradient_when_asked():
    """And the gradient of the keys is that of the formula, by finite differences."""
    contrast = SingleViewContrast(8, out_dim=4, grad='both').double()
    visible = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    masked = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    contrast.eval()  # running statistics, so that the function is fixed
    assert torch.autograd.gradcheck(lambda *x: contrast(*x)[0], (visible, masked))
    with contrast.key_gradient():
        assert torch.is_grad_enabled()


def test_projector_is_the_published_one():
    """Linear, batch norm, ReLU, linear, batch norm without affine; no biases."""
    contrast = SingleViewContrast(8, hidden_dim=12, out_dim=4)
    shapes = {n: tuple(p.shape) for n, p in contrast.named_parameters()}
    assert shapes == {
        'projector.0.weight': (12, 8),
        'projector.1.weight': (12,),
        'projector.1.bias': (12,),
        'projector.3.weight': (4, 12),
    }


CONTRASTS = {
    'single_view': (SingleViewContrast(64, projector=False), (6, 64), ()),
    'two_views': (TwoViewContrast(0.1), (6, 64), ()),
    'queue': (QueueContrast(64, 32, 0.1).eval(), (6, 64), (torch.ones(6, 64),)),
    'patches': (PatchContrast(0.1), (2, 9, 64), (_all_masked(2, 9),)),
}


@pytest.mark.parametrize('name', CONTRASTS)
def test_autocast_leaves_the_contrast_in_float32(name):
    """Similarities rounded to bf16 and divided by 0.1 would be off by per cents."""
    contrast, shape, others = CONTRASTS[name]
    queries, keys = torch.randn(*shape), torch.randn(*shape)
    exact, _ = contrast(queries, keys, *others)
    with torch.autocast('cpu', torch.bfloat16):
        loss, _ = contrast(queries, keys, *others)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, exact)


def test_alone_a_process_gathers_itself():
    x = torch.randn(3, 2, requires_grad=True)
    assert gather_with_grad(x) is x
    assert not gather_constant(x).requires_grad
    assert not sum_constant(x).requires_grad
    assert products(*[x.detach().to('meta')] * 2).is_meta  # to count operations


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16])
def test_unit_vectors_of_half_precision_are_float32(half):
    """Projectors give them; 8 bits of a mantissa are 1 per cent of a cosine over T."""
    x = torch.randn(64, 33).to(half)
    vectors = unit(x)
    assert vectors.dtype == torch.float32
    expected = x.double() / x.double().norm(dim=1, keepdim=True)
    torch.testing.assert_close(vectors.double(), expected, atol=1e-6, rtol=0)
    assert unit(x.double()).dtype == torch.float64
