"""Weights go to OpenMMLab's own Vision Transformers and come back."""

import pytest
import torch

from ccmim.checkpoints import LAYOUTS, write_weights
from tests.checkpoints.networks import draw, ours

# As mmpretrain 1.2 and MMClassification 0.25 name the parameters of a network.
MMPRETRAIN = [
    *('cls_token', 'pos_embed'),
    *('patch_embed.projection.weight', 'patch_embed.projection.bias'),
    *('ln1.weight', 'ln1.bias'),
]
MMPRETRAIN_LAYER = [
    *('ln1.weight', 'ln1.bias', 'ln2.weight', 'ln2.bias'),
    *('attn.qkv.weight', 'attn.qkv.bias', 'attn.proj.weight', 'attn.proj.bias'),
    *('ffn.layers.0.0.weight', 'ffn.layers.0.0.bias'),
    *('ffn.layers.1.weight', 'ffn.layers.1.bias'),
]
SCALES = ['attn.gamma1.weight', 'ffn.gamma2.weight']


@pytest.fixture
def weights(read, tiny_vit):
    """Read the drawn weights of a backbone of ours, with the options given."""
    learned = dict(pos_embed='learned')
    return lambda **options: read(draw(tiny_vit(**learned, **options)).state_dict())


@pytest.mark.parametrize('scale', [None, 0.1])
def test_mmpretrains_keys(weights, tmp_path, scale):
    own = weights(layer_scale_init=scale)
    write_weights(own, tmp_path / 'out.pth', 'mmpretrain')
    state = torch.load(tmp_path / 'out.pth')['state_dict']
    layer = MMPRETRAIN_LAYER + (SCALES if scale else [])
    expected = MMPRETRAIN + [f'layers.{i}.{name}' for i in (0, 1) for name in layer]
    assert sorted(state) == sorted(expected)
    for theirs, name in (
        ('layers.1.ln2.weight', 'blocks.1.norm2.weight'),
        ('layers.0.ffn.layers.1.bias', 'blocks.0.mlp.fc2.bias'),
        ('ln1.bias', 'norm.bias'),
        ('patch_embed.projection.weight', 'patch_embed.proj.weight'),
        *([('layers.1.ffn.gamma2.weight', 'blocks.1.ls2.gamma')] if scale else []),
    ):
        assert torch.equal(state[theirs], own.state[name])
    config = LAYOUTS['mmpretrain'].build(own.architecture)
    assert config['layer_scale_init_value'] == (1e-5 if scale else 0.0)


def test_a_classifier_of_mmpretrain_is_read(weights, read):
    own = weights(layer_scale_init=0.1)
    state = LAYOUTS['mmpretrain'].write(own.state)
    state = {f'backbone.{k}': v for k, v in state.items()}
    state |= {'head.layers.head.weight': torch.zeros(3, 32)}
    back = read(dict(state_dict=state, meta=dict(epoch=9)))
    assert 'layout mmpretrain (as its keys say)' in back.report[0]
    assert '  left out, not of the backbone: head.layers.head.weight' in back.report
    assert all(torch.equal(back.state[k], v) for k, v in own.state.items())


def test_mmpretrains_norm_after_pooling_is_the_classifiers(weights, read):
    state = LAYOUTS['mmpretrain'].write(weights(final_norm=False).state)
    state |= {'ln2.weight': torch.ones(32), 'ln2.bias': torch.ones(32)}
    back = read(state)
    assert '  left out, of the classifier: ln2.* (2)' in back.report
    assert not back.architecture.final_norm


@pytest.mark.parametrize(
    'options', [dict(), dict(final_norm=False), dict(norm_eps=1e-3)]
)
def test_mmsegs_backbone_loads_what_is_written_for_it(
    weights, tmp_path, images, options
):
    from mmseg.models.backbones import VisionTransformer as MMSegViT

    own, out = weights(**options), tmp_path / 'out.pth'
    lines = write_weights(own, out, 'mmseg')
    config = LAYOUTS['mmseg'].build(own.architecture)
    assert str(config) in lines[2]
    assert config.pop('type') == 'VisionTransformer'
    theirs = MMSegViT(**config)
    theirs.load_state_dict(torch.load(out)['state_dict'], strict=True)
    with torch.no_grad():
        assert (ours(own)(images)[0] - theirs(images)[0]).abs().max() < 1e-5
    init_cfg = dict(type='Pretrained', checkpoint=str(out))
    by_itself = MMSegViT(**config, init_cfg=init_cfg)
    by_itself.init_weights()
    for name, value in by_itself.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


def test_a_segmentor_of_mmseg_is_read(read, images):
    from mmseg.models.backbones import VisionTransformer as MMSegViT

    theirs = MMSegViT(
        img_size=64, embed_dims=32, num_layers=2, num_heads=2, patch_bias=True,
        final_norm=True, norm_cfg=dict(type='LN', eps=1e-6),
    )  # fmt: skip
    theirs.init_weights()
    state = {f'backbone.{k}': v for k, v in theirs.state_dict().items()}
    state['decode_head.conv_seg.bias'] = torch.zeros(3)
    own = read(dict(state_dict=state))
    assert 'layout mmseg (as its keys say)' in own.report[0]
    assert '  left out, not of the backbone: decode_head.conv_seg.bias' in own.report
    with torch.no_grad():
        assert (ours(own)(images)[0] - theirs(images)[0]).abs().max() < 1e-5
