"""Parts that a plain ViT does not have are there when asked for, and only then."""

import pytest
import torch

from ccmim.vit import Block, LayerNorm, VisionTransformer


def test_without_options_no_parameter_is_added(tiny_vit):
    names = set(tiny_vit().state_dict())
    per_block = {n.split('.', 2)[2] for n in names if n.startswith('blocks.')}
    assert per_block == {
        f'{module}.{kind}'
        for module in ('norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2')
        for kind in ('weight', 'bias')
    }


@pytest.mark.parametrize('how', ['xavier', 'mae', 'moco', 'beit'])
def test_first_weights_have_the_spread_of_the_rule(how):
    """Closed forms: sqrt(2 / (in + out)), and a normal of 0.02 cut at one deviation."""
    torch.manual_seed(0)
    arch = dict(embed_dim=192, depth=3, num_heads=3)
    vit = VisionTransformer(arch, 32, pos_embed='learned', weight_init=how)
    cut = 0.02 * 0.5396  # of a standard normal within (-1, 1)
    block, proj = vit.blocks[2], vit.patch_embed.proj
    layers = block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2, proj
    found = [layer.weight.std().item() for layer in layers]
    sides = 192 * (2 if how == 'moco' else 4), 384, 960, 960, 768 + 192
    xavier = [(2 / side) ** 0.5 for side in sides]
    deep = cut / 6**0.5  # in the third block
    expected = [cut, deep, cut, deep, cut] if how == 'beit' else xavier
    assert found == pytest.approx(expected, rel=0.02)
    bias = 768**-0.5 / 3**0.5 if how == 'mae' else 0  # uniform, as a convolution's
    assert proj.bias.std().item() == pytest.approx(bias, rel=0.1)
    token = {'beit': cut, 'moco': 1e-6}.get(how, 0.02)
    assert vit.cls_token.std().item() == pytest.approx(token, rel=0.15)
    rows = cut if how == 'beit' else 0.02
    assert vit.pos_embed.std().item() == pytest.approx(rows, rel=0.1)
    bare = VisionTransformer(arch, 32, pos_embed='learned', class_token=False)
    assert bare.pos_embed[0].any(dim=1).tolist() == [False] + [True] * 4
    assert all(not block.attn.qkv.bias.any() for block in vit.blocks)


def test_a_frozen_embedding_stays_and_all_else_is_trained(tiny_vit, images):
    vit = tiny_vit(freeze_patch_embed=True)
    vit.encode(vit.embed(images)).square().sum().backward()
    without = {n for n, p in vit.named_parameters() if p.grad is None}
    assert without == {'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias'}


def test_layer_scales_begin_as_they_are_set():
    block = Block(32, num_heads=2, layer_scale_init=1e-5)
    assert block.ls1.gamma.tolist() == block.ls2.gamma.tolist()
    assert block.ls2.gamma.allclose(torch.tensor(1e-5))


def test_without_a_final_norm_tokens_are_those_of_the_last_block(tiny_vit, images):
    vit, plain = tiny_vit(final_norm=False).eval(), tiny_vit().eval()
    assert not [name for name in vit.state_dict() if name.startswith('norm.')]
    vit.load_state_dict(
        {k: v for k, v in plain.state_dict().items() if not k.startswith('norm.')}
    )
    ours = vit.encode(vit.embed(images))
    assert torch.equal(plain.norm(ours), plain.encode(plain.embed(images)))


def test_without_positions_shuffled_patches_give_shuffled_tokens(tiny_vit, images):
    vit = tiny_vit(pos_embed='none').double()
    assert 'pos_embed' not in vit.state_dict()
    patches = images.double().unfold(2, 16, 16).unfold(3, 16, 16)
    turned = patches.flip(2, 3).permute(0, 1, 2, 4, 3, 5).reshape(4, 3, 64, 64)
    straight, turned = (
        vit.encode(vit.embed(images.double())),
        vit.encode(vit.embed(turned)),
    )
    torch.testing.assert_close(turned[:, 1:].flip(1), straight[:, 1:])
    assert vit(torch.randn(1, 3, 96, 80).double())[0].shape == (1, 32, 6, 5)


def test_the_eps_of_all_norms_is_set(tiny_vit):
    vit = tiny_vit(norm_eps=1e-3)
    norms = [m.eps for m in vit.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert norms == [1e-3] * 5
    assert tiny_vit().blocks[1].norm2.eps == LayerNorm(4).eps == 1e-6
