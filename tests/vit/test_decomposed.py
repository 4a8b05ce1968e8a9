"""Decomposed relative positions are ViTDet's: written out, counted, resized, loaded."""

import math

import pytest
import torch

from ccmim.checkpoints import load_backbone
from ccmim.engine.optim.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.vit import VisionTransformer
from ccmim.vit.attentions import RelPosAttention, resample_offsets

GRID = (3, 4)


def drawn(module):
    for name, parameter in module.named_parameters():
        if 'rel_pos' in name:
            torch.nn.init.normal_(parameter)
    return module


def slow(layer, x, grid):
    """Logits in loops over pairs: q.k over the root of C, plus q.h and q.w."""
    count, heads, width = x.shape[1], layer.num_heads, layer.width
    q, k, v = layer.qkv(x[0]).reshape(count, 3, heads, width).unbind(1)
    with_class = count - math.prod(grid)
    logits = torch.einsum('ahc,bhc->hab', q, k) / math.sqrt(width)
    for a in range(with_class, count):
        for b in range(with_class, count):
            top, left = divmod(a - with_class, grid[1])
            down, right = divmod(b - with_class, grid[1])
            offset = layer.rel_pos_h[top - down + grid[0] - 1]
            offset = offset + layer.rel_pos_w[left - right + grid[1] - 1]
            logits[:, a, b] = logits[:, a, b] + q[a] @ offset
    mixed = torch.einsum('hab,bhc->ahc', logits.softmax(-1), v)
    return layer.proj(mixed.reshape(count, -1))


@pytest.mark.parametrize('with_class', [0, 1])
def test_a_layer_equals_its_definition_with_its_gradients(with_class):
    layer = drawn(RelPosAttention(12, 2, True, GRID)).double()
    x = torch.randn(1, 12 + with_class, 12, dtype=torch.float64)
    wanted, results = torch.randn(12 + with_class, 12, dtype=torch.float64), []
    for compute in (lambda: layer(x)[0], lambda: slow(layer, x, GRID)):
        layer.zero_grad()
        out = compute()
        (out * wanted).sum().backward()
        results.append([out.detach(), *(p.grad.clone() for p in layer.parameters())])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


def test_tables_of_zeros_change_nothing(tiny_vit, images):
    plain, ours = tiny_vit(), tiny_vit(attention='rel_pos')
    for table in (p for n, p in ours.named_parameters() if 'rel_pos' in n):
        torch.nn.init.zeros_(table)
    ours.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(ours(images)[0], plain(images)[0])
    drawn(ours)
    assert not torch.allclose(ours(images)[0], plain(images)[0], atol=1e-2)


def test_vitdets_number_of_parameters_is_added():
    """ViT-B at 1024 px: eight blocks with windows of 14 x 14, four with 64 x 64."""
    options = dict(rel_pos_size=1024, window_size=14, global_blocks=(2, 5, 8, 11))
    counts = []
    for attention in ('softmax', 'rel_pos'):
        with torch.device('meta'):
            vit = VisionTransformer('base', attention=attention, **options)
        counts.append(sum(p.numel() for p in vit.parameters()))
    assert counts[1] - counts[0] == 8 * 2 * 27 * 64 + 4 * 2 * 127 * 64
    assert vit.pos_embed.shape == (1, 1 + 14 * 14, 768)


def test_another_size_is_interpolated_linearly_as_published():
    table = torch.arange(7.0)[:, None] ** 2  # for a side of 4
    # Entry i lies at (i + 1/2) 7 / 5 - 1/2, between its neighbors.
    places = [(i + 0.5) * 7 / 5 - 0.5 for i in range(5)]
    expected = [int(p) ** 2 + (p - int(p)) * (2 * int(p) + 1) for p in places]
    ours = resample_offsets(table, 3).flatten()
    torch.testing.assert_close(ours, torch.tensor(expected))
    assert resample_offsets(table, 4) is table


def test_loading_fits_tables_and_forward_does_so_for_other_images(tiny_vit, tmp_path):
    held = drawn(tiny_vit(attention='rel_pos'))
    torch.save(held.state_dict(), tmp_path / 'vit.pth')
    large = tiny_vit(attention='rel_pos', img_size=96, pos_embed='none')
    load_backbone(large, tmp_path / 'vit.pth')
    expected = resample_offsets(held.blocks[1].attn.rel_pos_h, 6)
    torch.testing.assert_close(large.blocks[1].attn.rel_pos_h, expected)
    layer, x = held.blocks[0].attn.double(), torch.randn(1, 30, 32).double()
    ours, grid = layer(x, grid=(6, 5)), (6, 5)
    for name, side in zip(('rel_pos_h', 'rel_pos_w'), grid, strict=True):
        table = resample_offsets(getattr(layer, name), side)
        setattr(layer, name, torch.nn.Parameter(table.detach()))
    torch.testing.assert_close(ours[0], slow(layer, x, grid), atol=1e-10, rtol=0)


def test_a_file_without_tables_loads_where_they_are_named(tiny_vit, tmp_path):
    torch.save(tiny_vit().state_dict(), tmp_path / 'plain.pth')
    vit = tiny_vit(attention='rel_pos')
    with pytest.raises(ValueError, match=r'4 missing \(blocks.0.attn.rel_pos_h'):
        load_backbone(vit, tmp_path / 'plain.pth')
    names = [f'blocks.{i}.attn.rel_pos_{a}' for i in range(2) for a in 'hw']
    load_backbone(vit, tmp_path / 'plain.pth', names)


def test_tables_are_decayed_and_learn_at_the_rate_of_their_block(tiny_vit):
    """As published: detectron2's recipe frees pos_embed and norms, and no others."""
    vit = tiny_vit(attention='rel_pos', pos_embed='learned')
    model = torch.nn.ModuleDict(dict(backbone=vit))
    constructor = LayerDecayOptimWrapperConstructor(
        dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1)),
        dict(layer_decay=0.5),
    )
    groups: list = []
    constructor.add_params(groups, model)
    found = {id(p): (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    for i, block in enumerate(vit.blocks):
        for table in (block.attn.rel_pos_h, block.attn.rel_pos_w):
            assert found[id(table)] == (0.5 ** (2 - i), 0.1)
    assert found[id(vit.pos_embed)] == (0.125, 0.0)


def test_windows_hold_tables_of_their_size_and_all_get_gradients(tiny_vit, images):
    windows = dict(window_size=2, global_blocks=(1,))
    vit = tiny_vit(attention='rel_pos', out_indices=(1,), **windows)
    sides = [len(block.attn.rel_pos_h) for block in vit.blocks]
    assert sides == [3, 7]
    with torch.autocast('cpu', torch.bfloat16):
        vit(images)[0].float().square().sum().backward()
    for block in vit.blocks:
        assert block.attn.rel_pos_h.grad.abs().sum() > 0
        assert block.attn.rel_pos_w.grad.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize('attention', ['rel_pos', 'lisa'])
def test_compiled_blocks_compute_the_same(tiny_vit, images, attention):
    from ccmim.engine.compile import compile_blocks

    torch._dynamo.reset()
    vit = drawn(tiny_vit(attention=attention))
    expected = vit(images)[0]
    assert compile_blocks(vit, backend='aot_eager')
    torch.testing.assert_close(vit(images)[0], expected, atol=1e-5, rtol=0)
