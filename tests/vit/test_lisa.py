"""Structure-aware attention equals its definition, written out in loops over pairs."""

import math

import pytest
import torch

from ccmim.vit import attentions
from ccmim.vit.attentions import EMBEDDINGS, LisaAttention, structured_attention
from ccmim.vit.rel_pos import table_length

GRID = (3, 5)


@pytest.fixture(params=['matrix', 'fft'])
def layer(request, monkeypatch):
    """A drawn layer of two heads for 3 x 5 patches, in double precision, both ways."""
    monkeypatch.setattr(attentions, 'DIRECT', 400 if request.param == 'matrix' else 0)
    layer = LisaAttention(12, 2, True, GRID).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def weight(table, a, b, with_class):
    """The weights (H * E) of token b for token a by their places in the grid."""
    if with_class and 0 in (a, b):
        row = -1 if a == b else -3 if a == 0 else -2  # after all offsets, as BEiT
        return table[row].exp()
    (top, left), (down, right) = (divmod(i - with_class, GRID[1]) for i in (a, b))
    row = (top - down + GRID[0] - 1) * (2 * GRID[1] - 1) + left - right + GRID[1] - 1
    return table[row].exp()


def slow(layer, x):
    """The definition: for each pair of tokens a product, for each token an average."""
    both = layer.qkv(x[0])
    count, heads = len(both), layer.num_heads
    kernels = heads * EMBEDDINGS
    positive = torch.where(both > 0, both + 1, both.exp())
    q, k, v = positive[:, :kernels], positive[:, kernels : 2 * kernels], both[:, -12:]
    v = v.reshape(count, heads, 6)
    mixed = torch.zeros(count, heads, 6, dtype=x.dtype)
    for a in range(count):
        total = torch.zeros(heads, 1, dtype=x.dtype)
        for b in range(count):
            with_class = count > math.prod(GRID)
            factors = weight(layer.relative_position_bias_table, a, b, with_class)
            w = (factors * q[a] * k[b]).reshape(heads, EMBEDDINGS).sum(1, keepdim=True)
            mixed[a] += w * v[b]
            total += w
        mixed[a] /= total
    return layer.proj(mixed.flatten(1))


@pytest.mark.parametrize('with_class', [False, True])
def test_a_layer_equals_the_sums_over_all_pairs(layer, with_class):
    x = torch.randn(1, math.prod(GRID) + with_class, 12, dtype=torch.float64)
    with torch.no_grad():
        difference = layer(x)[0] - slow(layer, x)
    assert difference.abs().max() < 1e-10


def test_without_learned_positions_it_is_linear_attention():
    q, k = torch.rand(2, 1, 2, 15, 4, dtype=torch.float64)
    v = torch.randn(1, 2, 15, 6, dtype=torch.float64)
    weights = torch.ones(table_length(GRID), 8, dtype=torch.float64)
    matrix = q @ k.transpose(2, 3)
    expected = matrix @ v / matrix.sum(-1, keepdim=True)
    mixed = structured_attention(q, k, v, weights, GRID)
    torch.testing.assert_close(mixed, expected, atol=1e-12, rtol=0)


def test_gradients_are_those_of_the_definition(layer):
    x = torch.randn(1, 16, 12, dtype=torch.float64)
    wanted = torch.randn(16, 12, dtype=torch.float64)
    gradients = []
    for compute in (lambda: layer(x)[0], lambda: slow(layer, x)):
        layer.zero_grad()
        (compute() * wanted).sum().backward()
        gradients.append([p.grad.clone() for p in layer.parameters()])
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-9, rtol=0)


def test_some_rows_are_those_of_all(layer):
    x = torch.randn(2, 16, 12, dtype=torch.float64)
    torch.testing.assert_close(layer(x, slice(1)), layer(x)[:, :1])


@pytest.mark.parametrize('options', [dict(attention='lisa'), dict(rel_pos_bias=True)])
def test_half_precision_differs_by_its_rounding_only(tiny_vit, images, options):
    vit = tiny_vit(**options)
    expected = vit(images)[0]
    with torch.autocast('cpu', torch.bfloat16):
        half = vit(images)[0]
        half.float().square().mean().backward()
    assert 0 < (half - expected).norm() < 0.03 * expected.norm()
    assert all(block.attn.qkv.weight.grad.isfinite().all() for block in vit.blocks)


@pytest.mark.parametrize(
    ('kind', 'side', 'dim'),
    [(LisaAttention, 48, 4), (attentions.RelPosAttention, 32, 8)],
)
def test_nothing_of_the_size_of_a_matrix_over_pairs_is_kept(kind, side, dim):
    layer, x = kind(dim, 1, True, (side, side)), torch.randn(1, side * side, dim)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
    ):
        layer(x).sum()
    assert max(sizes) < side**4 / 10


def test_windows_and_larger_images_take_the_same_layer(tiny_vit, images):
    """One window over everything is the attention over everything."""
    options = dict(attention='lisa', out_indices=(1,), pos_embed='none')
    windowed = tiny_vit(window_size=4, **options)
    for block in windowed.blocks:
        torch.nn.init.normal_(block.attn.relative_position_bias_table)
    whole = tiny_vit(window_size=1, global_blocks=(0, 1), **options)
    whole.load_state_dict(windowed.state_dict())
    torch.testing.assert_close(windowed(images)[0], whole(images)[0])
    large = torch.randn(1, 3, 96, 80)
    assert whole(large)[0].shape == (1, 32, 6, 5)
    assert not torch.allclose(whole(large)[0], windowed(large)[0], atol=1e-3)


def test_what_it_cannot_do_is_refused_in_one_line(tiny_vit, images):
    vit = tiny_vit(attention='lisa')
    tokens = vit.embed(images)
    with pytest.raises(ValueError, match="'lisa' needs all 4 x 4 patches .* got 7"):
        vit.encode(tokens[:, :7])
    with pytest.raises(ValueError, match="attention='lisa' gives no scores"):
        vit.class_attention(tokens, [0])
    with pytest.raises(ValueError, match='set rel_pos_bias=False'):
        tiny_vit(attention='lisa', rel_pos_bias=True)


def test_any_method_without_hidden_tokens_trains_with_it(tiny_vit, images):
    """Every parameter gets a gradient, in one step, from the class token alone."""
    vit = tiny_vit(attention='lisa')
    vit.encode(vit.embed(images), class_only=True).square().sum().backward()
    for name, parameter in vit.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, name
