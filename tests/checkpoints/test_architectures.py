"""Networks of timm and transformers, read: the same features, at another size too."""

import os

import pytest
import timm
import torch
from timm.layers import SwiGLUPacked
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva

from ccmim.checkpoints import architecture, load_backbone, read_weights
from ccmim.checkpoints.hugging_face import read_config
from ccmim.vit import VisionTransformer
from tests.checkpoints.networks import draw, ours

TOLERANCE = 1e-5
SIZES = dict(embed_dim=32, depth=2, num_heads=2)
DINOV3 = dict(
    rope_type='dinov3', rope_temperature=100, rope_rotate_half=True,
    use_rot_pos_emb=True, use_abs_pos_emb=False, num_reg_tokens=4, use_fc_norm=False,
    init_values=0.1, dynamic_img_size=True, norm_layer=torch.nn.LayerNorm,  # of 1e-5
)  # fmt: skip
# By name: the arguments of timm's VisionTransformer, and what a reader must be told.
TIMM = {
    'augreg': (dict(), {}),
    'dinov2': (dict(init_values=0.1), {}),
    'dinov2 reg': (dict(init_values=0.1, reg_tokens=4, no_embed_class=True), {}),
    'registers with positions': (dict(reg_tokens=3), {}),
    'dinov2 giant': (dict(mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU), {}),
    'deit3': (dict(no_embed_class=True, init_values=0.1), {}),
    'clip': (
        dict(pre_norm=True, norm_layer=torch.nn.LayerNorm, act_layer='quick_gelu'),
        dict(act='quick_gelu'),
    ),
    'siglip': (
        dict(class_token=False, global_pool='map', act_layer='gelu_tanh'),
        dict(act='gelu_tanh'),
    ),
    'gap': (dict(class_token=False, global_pool='avg', fc_norm=False), {}),
    'qk norm': (dict(qk_norm=True), {}),
    'no qkv bias': (dict(qkv_bias=False), {}),
}


@torch.no_grad()
def compare(vit, theirs, size=64, prefix=1):
    """Compare class token, patches and the dense map with tokens of another network."""
    images = torch.randn(2, 3, *([size] * 2 if isinstance(size, int) else size))
    tokens = theirs(images)
    rows, columns = grid = vit.grid_of(images)
    patches = tokens[:, prefix:]
    expected = patches.transpose(1, 2).unflatten(2, grid)
    torch.testing.assert_close(vit(images)[0], expected, rtol=0, atol=TOLERANCE)
    if vit.needs_all and grid != vit.grid:
        return
    first, found = vit.encode(vit.embed(images)).split([1, rows * columns], dim=1)
    torch.testing.assert_close(found, patches, rtol=0, atol=TOLERANCE)
    wanted = tokens[:, :1] if prefix else patches.mean(1, keepdim=True)
    torch.testing.assert_close(first, wanted, rtol=0, atol=TOLERANCE)
    only = vit.encode(vit.embed(images), class_only=True)
    torch.testing.assert_close(only, wanted, rtol=0, atol=TOLERANCE)


@torch.no_grad()
def compare_windows(weights, theirs, prefix):
    """Compare maps with another network's blocks, run on 2 x 2 patches at a time."""
    options = dict(window_size=2, global_blocks=(1,))
    vit = VisionTransformer(**weights.architecture.options(), **options).eval()
    vit.load_state_dict(weights.state)
    images = torch.randn(2, 3, 64, 64)
    x = theirs._pos_embed(theirs.patch_embed(images))
    x, rope = x if isinstance(x, tuple) else (x, None)
    x = getattr(theirs, 'norm_pre', torch.nn.Identity())(x)[:, prefix:]
    places = torch.arange(16).reshape(2, 2, 2, 2).transpose(1, 2).reshape(4, 4)
    for block, parts in zip(
        theirs.blocks, (places, torch.arange(16)[None]), strict=True
    ):
        before = x.clone()
        if rope is not None:
            block.attn.num_prefix_tokens = 0  # which windows do not have
        for part in parts:
            more = dict(rope=rope[part]) if rope is not None else {}
            x[:, part] = block(before[:, part], **more)
    expected = theirs.norm(x).transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(vit(images)[0], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize('name', TIMM)
def test_timms_vision_transformers(read, name):
    options, told = TIMM[name]
    theirs = timm.models.VisionTransformer(
        64, num_classes=3, dynamic_img_size=True, **SIZES, **options
    )
    weights = read(draw(theirs).state_dict(), **told)
    assert weights.architecture.norm_eps == theirs.norm.eps
    bare = '  the class token has no position: zeros' in weights.report
    assert bare == options.get('no_embed_class', False)
    pooled = 'left out, attention pooling, which our features are before: attn_pool.*'
    assert (name == 'siglip') == any(pooled in line for line in weights.report)
    for size in (64, (96, 48)):
        prefix = theirs.num_prefix_tokens
        compare(ours(weights), theirs.forward_features, size, prefix)
    compare_windows(weights, theirs, prefix)


def test_deits_distillation_token(read):
    theirs = draw(VisionTransformerDistilled(64, **SIZES))
    weights = read(theirs.state_dict())
    assert '  the distillation token is read as a register' in weights.report
    compare(ours(weights), theirs.forward_features, prefix=2)


@pytest.mark.parametrize(
    'options',
    [
        dict(qkv_bias=False),
        dict(qkv_bias=True),
        dict(qkv_bias=False, swiglu_mlp=True, swiglu_align_to=8),
        dict(qkv_bias=True, qkv_fused=False),
    ],
)
def test_timms_dinov3(read, options):
    theirs = draw(Eva(64, num_classes=0, **SIZES, **DINOV3, **options))
    weights = read(theirs.state_dict())
    assert 'layout timm-dinov3' in weights.report[0]
    vit = ours(weights)
    for size in (64, (96, 48)):
        compare(vit, theirs.forward_features, size, 5)
    compare_windows(weights, theirs, 5)


def test_a_window_keeps_the_distances_of_rotary_positions():
    """Two windows of an image whose halves are alike give the same tokens."""
    vit = VisionTransformer(SIZES, 64, pos_embed='rotary', window_size=2).eval()
    half = torch.randn(1, 3, 64, 32)
    found = vit(torch.cat([half, half], dim=3))[0]
    torch.testing.assert_close(found[..., :2], found[..., 2:], rtol=0, atol=1e-5)
    whole = vit.blocks[0].attn(torch.randn(1, 4, 32), grid=(2, 2), span=(4, 4))
    assert whole.shape == (1, 4, 32)


def test_the_official_files_of_dinov3(read):
    """As https://github.com/facebookresearch/dinov3 names them: masked biases."""
    theirs = draw(Eva(64, num_classes=0, **SIZES, **DINOV3, qkv_bias=True))
    state = {}
    for name, value in theirs.state_dict().items():
        name = name.replace('reg_token', 'storage_tokens')
        for i in '12':
            name = name.replace(f'gamma_{i}', f'ls{i}.gamma')
        if name.endswith('q_bias'):
            v = theirs.state_dict()[name.replace('q_bias', 'v_bias')]
            name = name.replace('q_bias', 'qkv.bias')
            mask = torch.ones(96)
            mask[32:64] = torch.nan  # as theirs
            state[f'{name}_mask'] = mask
            value = torch.cat([value, torch.randn(32), v])
        if not name.endswith('v_bias'):
            state[name] = value
    state['rope_embed.periods'] = (0.995 * 100 ** (torch.arange(4) / 4)).bfloat16()
    state['mask_token'] = torch.zeros(1, 32)
    weights = read(state, img_size=None)
    assert 'layout dinov3' in weights.report[0]
    assert '  keys have no bias: zeros' in weights.report
    assert weights.architecture.img_size == 224
    vit = VisionTransformer(**{**weights.architecture.options(), 'img_size': 64}).eval()
    vit.load_state_dict(weights.state)
    for size in (64, (96, 48)):
        compare(vit, theirs.forward_features, size, 5)
    state['rope_embed.periods'] *= 2
    with pytest.raises(ValueError, match='rotary positions are not of 100 as the long'):
        read(state, img_size=None)


HF_SIZES = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
    image_size=64, patch_size=16,
)  # fmt: skip
HF = {
    'ViT': (dict(), 1, {}),
    'IJepa': (dict(), 0, {}),
    'DeiT': (dict(), 2, {}),
    'Dinov2': (dict(mlp_ratio=2), 1, None),
    'Dinov2 gated': (dict(mlp_ratio=2, use_swiglu_ffn=True), 1, None),
    'Dinov2WithRegisters': (dict(mlp_ratio=2), 5, None),
    'DINOv3ViT': (dict(num_register_tokens=4), 5, None),
    'DINOv3ViT gated': (
        dict(num_register_tokens=3, use_gated_mlp=True, hidden_act='silu'), 4, None,
    ),
    'CLIPVision': (dict(), 1, {}),
    'SiglipVision': (dict(), 0, {}),
}  # fmt: skip


@pytest.mark.parametrize('name', HF)
def test_models_of_transformers(tmp_path, read, name):
    """As a folder, as the file in it, and in memory's names; at another size too."""
    transformers = pytest.importorskip('transformers')
    options, prefix, call = HF[name]
    kind = name.split()[0]
    config = getattr(transformers, f'{kind}Config')(**HF_SIZES, **options)
    model = draw(getattr(transformers, f'{kind}Model')(config))
    folder = tmp_path / 'model'
    model.save_pretrained(folder)
    post = getattr(model, 'post_layernorm', torch.nn.Identity())

    def theirs(images):
        other = call is not None and images.shape[2:] != (64, 64)
        more = dict(interpolate_pos_encoding=True) if other else {}
        hidden = model(images, **more).last_hidden_state
        return post(hidden) if kind == 'CLIPVision' else hidden

    weights = read_weights(folder)
    vit = ours(weights)
    for size in (64, (96, 48)):
        compare(vit, theirs, size, prefix)
    file = read_weights(folder / 'model.safetensors')
    assert file.architecture == weights.architecture
    memory = read(model.state_dict())
    for key, value in weights.state.items():
        assert torch.equal(memory.state[key], value), key
    load_backbone(VisionTransformer(**weights.architecture.options()), folder)


def test_the_images_side_of_a_clip(tmp_path):
    transformers = pytest.importorskip('transformers')
    text = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    text.update(intermediate_size=32, vocab_size=10)
    config = transformers.CLIPConfig(vision_config=HF_SIZES, text_config=text)
    model = draw(transformers.CLIPModel(config))
    model.save_pretrained(tmp_path / 'clip')
    weights = read_weights(tmp_path / 'clip')
    assert any('not of vision_model' in line for line in weights.report)
    vision = model.vision_model

    def theirs(images):
        return vision.post_layernorm(vision(images).last_hidden_state)

    compare(ours(weights), theirs)


HEADS = (
    'vit_tiny_patch16_224 vit_small_patch16_224 vit_base_patch16_224 '
    'vit_large_patch16_224 vit_so400m_patch14_siglip_224 vit_giant_patch14_224 '
    'vit_giant_patch14_dinov2 vit_7b_patch16_dinov3'
)


def _blocks(width, **more):
    return {
        architecture.PATCHES: torch.empty(width, 3, 14, 14),
        'blocks.0.mlp.fc1.weight': torch.empty(4 * width, width),
        'blocks.0.mlp.fc2.weight': torch.empty(width, 4 * width),
        **more,
    }


@pytest.mark.parametrize('name', HEADS.split())
def test_widths_have_the_heads_of_published_networks(name):
    with torch.device('meta'):
        theirs = timm.create_model(name)
        state = _blocks(theirs.embed_dim, pos_embed=torch.empty(1, 257, 1))
        found = architecture.read_architecture(
            state, dict(pos_embed='rotary'), (16, 16)
        )
    assert found.num_heads == theirs.blocks[0].attn.num_heads


def test_squares_of_published_sides_are_taken_for_what_they_are():
    """Of positions that do not tell their grid; of timm's weights, and some others."""
    names = timm.list_pretrained(['vit_*', 'deit*', 'eva02*'])
    sides = {timm.get_pretrained_cfg(name).input_size[1] for name in names}
    for side in sides | {288, 392, 480, 560, 768}:
        for patch in (p for p in (14, 16) if side % p == 0):
            count = side // patch
            table = torch.randn(1, 1 + count**2, 64)
            assert architecture.grid_of_positions(table, patch) == (count, count), side
    assert architecture.grid_of_positions(torch.randn(1, 1 + 36, 64), 16) is None
    assert architecture.grid_of_positions(torch.randn(1, 1 + 9, 64), 16) == (3, 3), (
        'of one shape'
    )


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        ({architecture.TABLE: torch.empty(10, 2)}, 'of no square image'),
        ({'blocks.0.attn.rel_pos_h': torch.empty(9, 16)}, 'of no square image'),
        ({}, 'no positions, neither absolute nor relative'),
        ({'pos_embed': torch.empty(1, 5, 32)}, 'a width of 32 has no usual number'),
    ],
    ids=['a table', 'by axis', 'none', 'heads'],
)
def test_what_tensors_leave_open_is_asked_for(more, message):
    grid = (2, 2) if 'pos_embed' in more else None
    with pytest.raises(ValueError, match=message):
        architecture.read_architecture(_blocks(32, **more), {}, grid)


@pytest.mark.slow
def test_a_trained_network_of_14_px_is_what_timm_makes_of_it(monkeypatch):
    """Of half precision, at another size than that of its positions; in float64."""
    folder = os.environ.get('CCMIM_WEIGHTS')
    if not folder:
        pytest.skip('CCMIM_WEIGHTS names no folder with vits14_saliency.safetensors')
    file = f'{folder}/vits14_saliency.safetensors'
    weights = read_weights(file)
    assert '174 tensors' in weights.report[0]
    theirs = timm.create_model('vit_small_patch14_dinov2', dynamic_img_size=True)
    theirs.load_state_dict(weights.state)
    vit = VisionTransformer(**weights.architecture.options()).eval()
    vit.load_state_dict(weights.state)
    draw_normal = torch.randn
    monkeypatch.setattr(torch, 'randn', lambda *sizes: draw_normal(*sizes).double())
    compare(vit.double(), theirs.double().eval().forward_features, (70, 140))


def test_options_are_what_is_no_default():
    plain = dict(arch='tiny', img_size=224, patch_size=16)
    assert architecture.architecture_of(VisionTransformer('tiny')).options() == plain
    other = dict(plain, mlp_ratio=5.0, reg_tokens=2, norm_eps=1e-5, pos_embed='learned')
    other['layer_scale_init'] = 1e-5
    assert architecture.architecture_of(VisionTransformer(**other)).options() == other


def test_the_longest_period_is_that_of_a_config():
    transformers = pytest.importorskip('transformers')
    config = transformers.DINOv3ViTConfig(rope_theta=50.0).to_dict()
    assert read_config(config)['rope_theta'] == 50
    other = read_config(config | dict(model_type='dinov2'))
    assert not {'rope_theta', 'reg_tokens'} & other.keys()
