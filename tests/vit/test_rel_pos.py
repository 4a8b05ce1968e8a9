"""Relative positions are BEiT's: the same bias, at its own size and at others."""

import pytest
import torch
from timm.layers import gen_relative_position_index, resize_rel_pos_bias_table
from timm.models.beit import Beit
from torch._dynamo.utils import counters

from ccmim.checkpoints.layouts import read_beit
from ccmim.checkpoints.settle import settle
from ccmim.engine.compile import compile_blocks
from ccmim.vit.rel_pos import relative_bias, resample_table, table_grid, table_length


@pytest.fixture
def drawn_vit(tiny_vit):
    """Build the tiny ViT with drawn tables of relative positions."""

    def build(**options):
        vit = tiny_vit(rel_pos_bias=True, **options)
        for block in vit.blocks:
            torch.nn.init.normal_(block.attn.relative_position_bias_table)
        return vit.eval()

    return build


def _table(grid, heads=3):
    return torch.randn(table_length(grid), heads, dtype=torch.float64)


def _pair(**options):
    """A network of timm's with drawn weights, and ours with the same."""
    theirs = Beit(64, embed_dim=32, depth=2, num_heads=2, num_classes=0, **options)
    for name, parameter in theirs.named_parameters():
        spread = 0.02 if 'weight' in name else 0.2
        torch.nn.init.normal_(parameter, float('norm' in name and spread < 0.1), spread)
    ours, *_ = settle(read_beit(theirs.state_dict()), dict(img_size=64), [])
    return theirs.eval(), ours


@pytest.mark.parametrize('grid', [(3, 5), (4, 4), (1, 2)])
def test_each_pair_of_tokens_gets_the_entry_of_beits_index(grid):
    table, index = _table(grid), gen_relative_position_index(grid, class_token=True)
    expected = table[index].permute(2, 0, 1)
    assert torch.equal(relative_bias(table, grid, grid, True), expected)
    assert torch.equal(relative_bias(table, grid, grid, False), expected[:, 1:, 1:])


def test_a_larger_grid_is_timms_geometric_resampling():
    table = _table((14, 14))
    expected = resize_rel_pos_bias_table(table, (24, 20), (table_length((24, 20)), 3))
    ours = resample_table(table, (14, 14), (24, 20))
    torch.testing.assert_close(ours, expected, atol=1e-3, rtol=0)
    near = ours[:-3].reshape(47, 39, 3)[22:25, 18:21]
    assert near.allclose(table[:-3].reshape(27, 27, 3)[12:15, 12:15])


def test_a_smaller_grid_takes_the_near_offsets_as_they_are():
    table = _table((5, 4))
    ours = resample_table(table, (5, 4), (2, 3))
    expected = table[:-3].reshape(9, 7, 3)[3:6, 1:6].reshape(15, 3)
    torch.testing.assert_close(ours[:-3], expected)
    assert torch.equal(ours[-3:], table[-3:])
    assert resample_table(table, (5, 4), (5, 4)) is table


def test_a_side_of_few_patches_can_grow():
    assert resample_table(_table((1, 2)), (1, 2), (3, 6)).shape == (5 * 11 + 3, 3)
    table = _table((1, 3))  # of five patches: at distances of 1 and 4
    between = resample_table(table, (1, 3), (1, 5))[1]
    torch.testing.assert_close(between, table[0].lerp(table[1], 1 / 3))


def test_the_grid_of_a_table_is_told_by_its_length():
    grids = [(side, side) for side in (1, 4, 37)]
    assert [table_grid(table_length(grid)) for grid in grids] == grids
    assert [table_grid(n) for n in (0, 3, 5, table_length((3, 5)))] == [None] * 4


@pytest.mark.parametrize(
    ('parts', 'options'),
    [
        (dict(use_rel_pos_bias=True, use_abs_pos_emb=False), dict(pos_embed='none')),
        (dict(use_shared_rel_pos_bias=True), dict(pos_embed='learned')),
    ],
)
def test_features_equal_timms_beit_at_any_size(tiny_vit, images, parts, options):
    theirs, state = _pair(init_values=0.3, use_fc_norm=False, **parts)
    ours = tiny_vit(rel_pos_bias=True, layer_scale_init=0.1, **options).eval()
    ours.load_state_dict(state, strict=True)
    with torch.no_grad():
        features = ours.encode(ours.embed(images))
        expected = theirs.forward_features(images)
        assert (features - expected).abs().max() < 1e-5
        if 'use_rel_pos_bias' in parts:
            theirs.set_input_size((80, 80))
            images = torch.randn(2, 3, 80, 80)
            expected = theirs.forward_features(images)[:, 1:].transpose(1, 2)
            # timm finds the stretch by bisection to 1e-6.
            assert (ours(images)[0].flatten(2) - expected).abs().max() < 1e-4


@pytest.mark.parametrize('direction', ['row', 'column'])
def test_class_attention_counts_the_bias(drawn_vit, images, direction):
    """Against the whole matrix of the last block, written out; width 16, 16 patches."""
    vit = drawn_vit(arch=dict(embed_dim=16)).double()
    tokens = vit.embed(images.double())
    x = torch.cat([(vit.cls_token + vit.pos_embed[:, :1]).expand(4, -1, -1), tokens], 1)
    x = vit.blocks[0](x, grid=(4, 4))
    attn = vit.blocks[1].attn
    q, k, _ = attn.heads(vit.blocks[1].norm1(x))
    index = gen_relative_position_index((4, 4), class_token=True)
    bias = attn.relative_position_bias_table[index].permute(2, 0, 1)
    matrix = (torch.einsum('bhnc,bhmc->bhnm', q, k) / 8**0.5 + bias).softmax(-1).mean(1)
    expected = matrix[:, 0, 1:] if direction == 'row' else matrix[:, 1:, 0]
    ours = vit.class_attention(tokens, [0, 1], direction)
    torch.testing.assert_close(ours[:, 1], expected, atol=1e-12, rtol=0)
    early = vit.class_attention(tokens, [0], direction)
    torch.testing.assert_close(ours[:, :1], early, atol=1e-12, rtol=0)


def test_windows_hold_tables_of_their_size_and_global_blocks_of_the_image(drawn_vit):
    vit = drawn_vit(out_indices=(1,), window_size=2, global_blocks=(1,))
    lengths = [len(block.attn.relative_position_bias_table) for block in vit.blocks]
    assert lengths == [table_length((2, 2)), table_length((4, 4))]
    images = torch.randn(1, 3, 96, 80)
    assert vit(images)[0].shape == (1, 32, 6, 5)


def test_loading_fits_tables_to_windows_and_to_larger_images(drawn_vit):
    small = drawn_vit()
    large = drawn_vit(img_size=96, window_size=2, global_blocks=(1,))
    large.load_state_dict(small.state_dict())
    own = [b.attn.relative_position_bias_table for b in large.blocks]
    held = [b.attn.relative_position_bias_table for b in small.blocks]
    torch.testing.assert_close(own[0], resample_table(held[0], (4, 4), (2, 2)))
    torch.testing.assert_close(own[1], resample_table(held[1], (4, 4), (6, 6)))


def test_tables_of_a_grid_that_is_not_square_cannot_be_fitted(drawn_vit):
    state = drawn_vit(img_size=(64, 96)).state_dict()
    state['pos_embed'] = drawn_vit().pos_embed
    with pytest.raises(ValueError, match=r'attn.relative_\w+ has shape \(80, 2\)'):
        drawn_vit().load_state_dict(state)


def test_every_table_of_a_dense_task_gets_a_gradient(drawn_vit, images):
    windows = dict(window_size=2, global_blocks=(1,))
    for options in (dict(), windows, dict(with_cp=True)):
        vit = drawn_vit(out_indices=(0, 1), pos_embed='none', **options).train()
        sum(m.square().sum() for m in vit(images)).backward()
        for name, parameter in vit.named_parameters():
            assert parameter.requires_grad == (parameter.grad is not None), name
        for block in vit.blocks:
            assert block.attn.relative_position_bias_table.grad.abs().sum() > 0


def test_some_patches_alone_are_refused(drawn_vit, images):
    vit = drawn_vit()
    tokens = vit.embed(images)
    for run in (vit.encode, lambda t: vit.class_attention(t, [0])):
        with pytest.raises(ValueError, match='needs all 4 x 4 patches .* got 7 tokens'):
            run(tokens[:, :7])


@pytest.mark.slow
def test_compiled_blocks_compute_the_same(drawn_vit):
    """In one graph each at their own size, and also where a table is resampled."""
    torch._dynamo.reset()
    counters.clear()
    vit = drawn_vit(out_indices=(1,), window_size=3, global_blocks=(1,))
    images = [torch.randn(1, 3, 64, 64), torch.randn(1, 3, 96, 80)]
    expected = [vit(image)[0] for image in images]
    assert compile_blocks(vit, backend='aot_eager')
    torch.testing.assert_close(vit(images[0])[0], expected[0], atol=1e-5, rtol=0)
    assert not counters['graph_break']
    torch.testing.assert_close(vit(images[1])[0], expected[1], atol=1e-5, rtol=0)
