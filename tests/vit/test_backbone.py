"""The Vision Transformer equals timm's, and keeps its promises to dense tasks."""

import pytest
import timm
import torch

from ccmim.checkpoints.layouts import read_beit
from ccmim.checkpoints.settle import settle
from ccmim.registry import MODELS
from ccmim.vit import VisionTransformer
from ccmim.vit.archs import resolve_arch

ARCH = dict(embed_dim=32, depth=2, num_heads=2)


def _assert_features_are_theirs(ours, theirs, state, side):
    """The same weights give the same tokens within 1e-5."""
    ours.load_state_dict(state, strict=True)
    images = torch.randn(2, 3, *side)
    with torch.no_grad():
        features = ours.eval().encode(ours.embed(images))
        difference = features - theirs.eval().forward_features(images)
    assert difference.abs().max() < 1e-5


def _draw_what_would_hide(network):
    """Layer scales begin near 0 and tables of relative positions as 0."""
    for name, value in network.named_parameters():
        if 'gamma' in name:
            torch.nn.init.uniform_(value, 0.5, 2)
        elif 'bias_table' in name:
            torch.nn.init.normal_(value)


@pytest.mark.parametrize('side', [(64, 64), (32, 96)])
@pytest.mark.parametrize('scale', [None, 1e-5])
def test_features_equal_timms(tiny_vit, side, scale):
    options = dict(init_values=scale, num_classes=0)
    theirs = timm.models.VisionTransformer(side, **ARCH, **options)
    _draw_what_would_hide(theirs)
    ours = tiny_vit(img_size=side, pos_embed='learned', layer_scale_init=scale)
    _assert_features_are_theirs(ours, theirs, theirs.state_dict(), side)


PUBLISHED = {
    'vit_tiny_patch16_224': dict(arch='tiny'),
    'vit_small_patch16_224': dict(arch='small'),
    'vit_base_patch16_224': dict(arch='base'),
    'vit_small_patch14_dinov2': dict(arch='small', patch_size=14, img_size=98),
    'beit_base_patch16_224': dict(
        arch='base', pos_embed='none', rel_pos_bias=True, final_norm=False
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', PUBLISHED)
def test_published_sizes_equal_timms(name):
    options = dict(pos_embed='learned') | PUBLISHED[name]
    side = options.get('img_size', 224)
    theirs = timm.create_model(name, num_classes=0, img_size=side)
    _draw_what_would_hide(theirs)
    state = theirs.state_dict()
    if name.startswith('beit'):
        state = settle(read_beit(state), {}, [])[0]
        state = {k: v for k, v in state.items() if 'fc_norm' not in k}
    scale = 1e-5 if any('gamma' in key or '.ls' in key for key in state) else None
    ours = VisionTransformer(layer_scale_init=scale, **options)
    _assert_features_are_theirs(ours, theirs, state, (side, side))


MILLIONS = dict(tiny=5.52, small=21.67, base=85.80, large=303.30, huge=630.76)


@pytest.mark.parametrize('arch', MILLIONS)
def test_number_of_parameters(arch):
    """The sizes of the literature (huge at patch 14), without a classifier."""
    with torch.device('meta'):
        vit = VisionTransformer(arch, patch_size=14 if arch == 'huge' else 16)
    count = sum(p.numel() for p in vit.parameters()) / 1e6
    assert count == pytest.approx(MILLIONS[arch], abs=0.01)
    heads = vit.blocks[0].attn.num_heads
    assert vit.embed_dim == heads * (80 if arch == 'huge' else 64)


def test_class_attention_is_the_attention_matrix_row(tiny_vit, images):
    """Row and column of the head-averaged matrices, written out slowly."""
    vit = tiny_vit(layer_scale_init=0.5).double()
    tokens = vit.embed(images.double())
    x = torch.cat([(vit.cls_token + vit.pos_embed[:, :1]).expand(4, -1, -1), tokens], 1)
    rows, columns = [], []
    for block in vit.blocks:
        qkv = block.attn.qkv(block.norm1(x)).reshape(4, 17, 3, 2, 16)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        matrix = torch.einsum('bhnc,bhmc->bhnm', q, k).div(4).softmax(-1)
        rows.append(matrix.mean(1)[:, 0, 1:])
        columns.append(matrix.mean(1)[:, 1:, 0])
        mixed = torch.einsum('bhnm,bhmc->bnhc', matrix, v).reshape(4, 17, 32)
        x = x + block.ls1.gamma * block.attn.proj(mixed)
        x = x + block.ls2.gamma * block.mlp(block.norm2(x))
    ours = vit.class_attention(tokens, [0, 1])
    torch.testing.assert_close(ours, torch.stack(rows, 1), atol=1e-12, rtol=0)
    ours = vit.class_attention(tokens, [1], 'column')
    torch.testing.assert_close(ours[:, 0], columns[1], atol=1e-12, rtol=0)
    assert not ours.requires_grad
    assert torch.is_autocast_cache_enabled()  # again


def test_encode_does_not_care_about_order(tiny_vit, images):
    """Positions are in the tokens, so shuffled tokens give shuffled features."""
    vit = tiny_vit().double()
    tokens = vit.embed(images.double())
    order = torch.randperm(16)
    straight, shuffled = vit.encode(tokens), vit.encode(tokens[:, order])
    torch.testing.assert_close(shuffled[:, 0], straight[:, 0])
    torch.testing.assert_close(shuffled[:, 1:], straight[:, 1:][:, order])


def test_embedding_some_patches_gives_their_rows_and_the_same_gradient(
    tiny_vit, images
):
    vit = tiny_vit(pos_embed='learned').double()
    images = images.double()
    ids = torch.stack([torch.randperm(16)[:5] for _ in images])
    some, all_ = vit.embed(images, ids), vit.embed(images)
    expected = torch.stack([row[i] for row, i in zip(all_, ids, strict=True)])
    torch.testing.assert_close(some, expected, atol=1e-14, rtol=0)
    weights = [vit.patch_embed.proj.weight, vit.patch_embed.proj.bias, vit.pos_embed]
    ours = torch.autograd.grad(some.square().sum(), weights)
    theirs = torch.autograd.grad(expected.square().sum(), weights)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def test_the_embedding_is_timms_convolution_of_the_padded_image(tiny_vit):
    vit = tiny_vit().double()
    images = torch.randn(2, 3, 5 * 8 - 3, 2 * 8 + 1, dtype=torch.float64)
    positions = vit.embed(torch.zeros_like(images)) - vit.patch_embed.proj.bias
    expected = vit.patch_embed(images) + positions
    torch.testing.assert_close(vit.embed(images), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize('biased', [False, True])
def test_the_class_token_alone_is_that_of_all_tokens(tiny_vit, images, biased):
    vit = tiny_vit(rel_pos_bias=biased).double()
    for table in [p for n, p in vit.named_parameters() if 'bias_table' in n]:
        torch.nn.init.normal_(table)
    tokens = vit.embed(images.double())
    alone = vit.encode(tokens, class_only=True)
    torch.testing.assert_close(alone, vit.encode(tokens)[:, :1], atol=1e-12, rtol=0)


def test_tokens_after_a_block_are_what_it_put_out(tiny_vit, images):
    """As they are: no final norm, and what comes later is not run."""
    vit = tiny_vit().double().eval()
    tokens = vit.embed(images.double())
    captured = []
    for block in vit.blocks:
        block.register_forward_hook(lambda *a: captured.append(a[-1]))
    normed = vit.encode(tokens)
    outputs = list(captured)
    for i, output in enumerate(outputs):
        captured.clear()
        torch.testing.assert_close(vit.encode(tokens, block=i), output)
        assert len(captured) == i + 1
        alone = vit.encode(tokens, class_only=True, block=i)
        torch.testing.assert_close(alone, output[:, :1], atol=1e-12, rtol=0)
    torch.testing.assert_close(vit.norm(outputs[-1]), normed)


@pytest.mark.parametrize('block', [-1, 2])
def test_a_block_that_is_not_there_is_refused(tiny_vit, images, block):
    vit = tiny_vit()
    with pytest.raises(ValueError, match=rf'block={block} must lie in \[0, 1\]'):
        vit.encode(vit.embed(images), block=block)
    for indices in (0, 3, [-3], [2]):
        with pytest.raises(ValueError, match='indices'):
            vit.forward_intermediates(images, indices)
    none, _ = vit.forward_intermediates(images, [], stop_early=True)
    torch.testing.assert_close(none, vit.norm(vit.start(vit.embed(images))))


def test_feature_maps_are_the_blocks_outputs(tiny_vit, images):
    vit = tiny_vit(out_indices=(0, 1)).eval()
    captured = []
    for block in vit.blocks:
        block.register_forward_hook(lambda *a: captured.append(a[-1]))
    maps = vit(images)
    for out, tokens in zip(maps, captured, strict=True):
        # Row by row: the patch at row 1, column 2 is token 1 + 1 * 4 + 2.
        torch.testing.assert_close(out[:, :, 1, 2], tokens[:, 7])


def test_without_out_indices_the_map_is_the_encoded_image(tiny_vit, images):
    vit = tiny_vit().eval()
    (out,) = vit(images)
    expected = vit.encode(vit.embed(images))[:, 1:]
    torch.testing.assert_close(out.flatten(2).transpose(1, 2), expected)


@pytest.mark.parametrize('size', [(64, 64), (80, 48), (70, 50)])
def test_windows_see_only_themselves(tiny_vit, size):
    """A change in one window leaves the others untouched, until a global block."""
    images = torch.randn(1, 3, *size)
    changed = images.clone()
    changed[:, :, :32, :32] += 1  # the first window of 2 x 2 patches
    local = tiny_vit(out_indices=(1,), window_size=2).eval()
    moved = (local(images)[0] - local(changed)[0]).abs().amax(1)[0] > 1e-6
    assert moved[:2, :2].all()
    assert moved.sum() == 4
    mixed = tiny_vit(out_indices=(1,), window_size=2, global_blocks=(1,)).eval()
    assert ((mixed(images)[0] - mixed(changed)[0]).abs().amax(1) > 1e-7).all()


@pytest.mark.parametrize('size', [(80, 48), (70, 50)])
def test_windows_are_padded_with_zeros_after_the_norm(tiny_vit, size):
    """As in ViTDet; the bias of the norm would stand in the padding otherwise."""
    vit = tiny_vit(out_indices=(0,), window_size=3).eval()
    images = torch.randn(1, 3, *size)
    block, (rows, columns) = vit.blocks[0], vit.grid_of(images)
    x = vit.embed(images)
    grid = torch.zeros(1, -(-rows // 3) * 3, -(-columns // 3) * 3, 32)
    grid[:, :rows, :columns] = block.norm1(x).unflatten(1, (rows, columns))
    mixed = torch.zeros_like(grid)
    for top in range(0, grid.shape[1], 3):
        for left in range(0, grid.shape[2], 3):
            window = grid[:, top : top + 3, left : left + 3].flatten(1, 2)
            out = block.attn(window).unflatten(1, (3, 3))
            mixed[:, top : top + 3, left : left + 3] = out
    x = x + mixed[:, :rows, :columns].flatten(1, 2)
    x = x + block.mlp(block.norm2(x))
    torch.testing.assert_close(vit(images)[0].flatten(2).transpose(1, 2), x)


@pytest.mark.parametrize('biased', [False, True])
def test_one_window_over_everything_is_global_attention(tiny_vit, images, biased):
    options = dict(out_indices=(1,), rel_pos_bias=biased)
    local = tiny_vit(window_size=4, **options).eval()
    everywhere = tiny_vit(window_size=1, global_blocks=(0, 1), **options).eval()
    everywhere.load_state_dict(local.state_dict())
    torch.testing.assert_close(local(images)[0], everywhere(images)[0])


def test_other_sizes_resample_positions(tiny_vit):
    """A network for 64 px serves 96 x 128 px, padded to whole patches if need be."""
    vit = tiny_vit(out_indices=(1,)).eval()
    assert vit(torch.randn(1, 3, 96, 128))[0].shape == (1, 32, 6, 8)
    assert vit(torch.randn(1, 3, 65, 64))[0].shape == (1, 32, 5, 4)
    same = vit.embed(torch.zeros(1, 3, 64, 64))
    bias = vit.patch_embed.proj.bias
    torch.testing.assert_close(same[0], vit.pos_embed[0, 1:] + bias)


def test_recomputation_changes_nothing(tiny_vit, images):
    options = dict(out_indices=(1,), frozen_stages=0)
    plain, frugal = tiny_vit(**options), tiny_vit(**options, with_cp=True)
    frugal.load_state_dict(plain.state_dict())
    for vit, runs in ((plain, 1), (frugal, 2)):
        seen = []
        vit.blocks[0].norm1.register_forward_hook(lambda *a, seen=seen: seen.append(1))
        vit(images)[0].square().sum().backward()
        assert len(seen) == runs
    for a, b in zip(plain.parameters(), frugal.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad)


def test_every_trained_parameter_of_a_dense_task_gets_a_gradient(tiny_vit, images):
    """So that distributed training needs no search for unused parameters."""
    for options in (
        dict(out_indices=(0,)),
        dict(out_indices=(0, 1), out_norm=True),
        dict(out_indices=(1,), window_size=2, global_blocks=(1,)),
    ):
        vit = tiny_vit(pos_embed='learned', **options)
        sum(m.square().sum() for m in vit(images)).backward()
        trained = {n for n, p in vit.named_parameters() if p.requires_grad}
        reached = {n for n, p in vit.named_parameters() if p.grad is not None}
        assert trained == reached, options


def test_frozen_stages(tiny_vit):
    vit = tiny_vit(frozen_stages=1, drop_path_rate=0.5, pos_embed='learned').train()
    trained = {n.split('.')[0] for n, p in vit.named_parameters() if p.requires_grad}
    assert trained == {'blocks', 'norm'}
    assert not any(p.requires_grad for p in vit.blocks[0].parameters())
    assert not vit.blocks[0].training
    assert vit.blocks[1].training
    frozen = vit.blocks[0](vit.start(vit.embed(torch.rand(2, 3, 32, 32))))
    assert not frozen.requires_grad  # so it keeps nothing for a backward pass
    assert vit.blocks[1](frozen).requires_grad
    embedding = tiny_vit(frozen_stages=0, pos_embed='learned').train()
    assert all(block.training for block in embedding.blocks)
    rest = {n.split('.')[0] for n, p in embedding.named_parameters() if p.requires_grad}
    assert rest == trained
    assert not any(part.training for part in embedding.eval().modules())


def test_nothing_is_left_to_train_when_all_blocks_of_a_dense_task_are_frozen(tiny_vit):
    options = dict(out_indices=(1,), out_norm=True)
    frozen = tiny_vit(frozen_stages=2, **options)
    assert not [n for n, p in frozen.named_parameters() if p.requires_grad]
    assert tiny_vit(frozen_stages=1, **options).norm.weight.requires_grad


def test_layer_ids(tiny_vit):
    vit = tiny_vit()
    ids = {name: vit.layer_id(name) for name, _ in vit.named_parameters()}
    assert vit.num_layers == 4
    for name in ('cls_token', 'pos_embed', 'patch_embed.proj.weight'):
        assert ids[name] == 0
    assert ids['blocks.0.norm1.weight'] == 1
    assert ids['blocks.1.mlp.fc2.bias'] == 2
    assert ids['norm.weight'] == 3


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(arch=dict(depth=2, width=3)), 'unknown key .*arch.width: use one of'),
        (dict(img_size=60), 'img_size=60'),
        (dict(out_indices=(2,)), r'out_indices=\(2,\)'),
        (dict(frozen_stages=3), 'frozen_stages=3'),
        (dict(arch=dict(embed_dim=30, depth=1, num_heads=2)), 'multiple of 4'),
        (dict(arch=dict(embed_dim=32, depth=1, num_heads=3)), 'num_heads=3'),
        (dict(arch=dict(ARCH, num_heads=16), pos_embed='rotary'), 'heads of 2 channel'),
        (dict(rel_pos_bias=True, reg_tokens=1), 'reg_tokens .* with rel_pos_bias=True'),
        (dict(attention='lisa', qk_norm=True), "qk_norm .* with attention='lisa'"),
    ],
)
def test_impossible_settings_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        VisionTransformer(**dict(arch=ARCH, img_size=64) | wrong)


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match="arch='tinny'"):
        resolve_arch('tinny')


def test_registered_for_every_scope():
    """mmdet and mmseg find it by its scoped name without importing ccmim."""
    assert MODELS.get('ccmim.VisionTransformer') is VisionTransformer
