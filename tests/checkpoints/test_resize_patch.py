"""A patch embedding of another side is resampled where the config asks for it."""

import pytest
import torch
import torch.nn.functional as F
from timm.layers import resample_patch_embed

from ccmim.checkpoints import load_backbone

KERNEL = 'patch_embed.proj.weight'


@pytest.fixture
def file(tiny_vit, tmp_path):
    """A network with patches of 14 px, for 4 x 4 of them."""
    vit = tiny_vit(img_size=56, patch_size=14, pos_embed='learned')
    torch.save(vit.state_dict(), tmp_path / 'p14.pth')
    return tmp_path / 'p14.pth'


def test_an_enlarged_patch_gives_the_same_token(tiny_vit, file):
    """What the pseudo-inverse is made for: exact where pixels are added."""
    vit, kernel = tiny_vit(pos_embed='learned'), torch.load(file)[KERNEL]
    load_backbone(vit, file, resize_patch=True)
    ours = vit.patch_embed.proj.weight
    assert torch.equal(ours, resample_patch_embed(kernel, [16, 16]))
    patches = torch.randn(5, 3, 14, 14)
    enlarged = F.interpolate(patches, (16, 16), mode='bicubic', antialias=True)
    torch.testing.assert_close(
        F.conv2d(enlarged, ours), F.conv2d(patches, kernel), atol=1e-4, rtol=0
    )
    plain = F.interpolate(kernel, (16, 16), mode='bicubic')  # the control
    difference = F.conv2d(enlarged, plain) - F.conv2d(patches, kernel)
    assert difference.abs().max() > 0.05
    assert torch.equal(vit.pos_embed, torch.load(file)['pos_embed'])  # 4 x 4 as well
    same = tiny_vit(img_size=56, patch_size=14, pos_embed='learned')
    load_backbone(same, file, resize_patch=True)
    assert torch.equal(same.patch_embed.proj.weight, kernel)


def test_the_option_of_a_config_does_it_and_else_both_shapes_are_named(tiny_vit, file):
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    vit = tiny_vit(init_cfg=dict(init_cfg, resize_patch=True))
    vit.init_weights()
    named = r'14, 14\), .* wants \(32, 3, 16, 16\): .*img_size=56\) or .*resize_patch'
    with pytest.raises(ValueError, match=named):
        tiny_vit(init_cfg=init_cfg).init_weights()
    short = {name: value.half() for name, value in torch.load(file).items()}
    torch.save(short, file)
    load_backbone(vit, file, resize_patch=True)
    expected = resample_patch_embed(short[KERNEL].float(), [16, 16])
    assert torch.equal(vit.patch_embed.proj.weight, expected)


def test_another_width_is_refused_with_the_option_too(tiny_vit, file):
    wide = tiny_vit(arch=dict(embed_dim=64, depth=2, num_heads=2))
    with pytest.raises(ValueError, match=r'has shape \(1, 1, 32\), .* \(1, 1, 64\)'):
        load_backbone(wide, file, resize_patch=True)
    blocks = {f'module.{k}': v for k, v in torch.load(file).items() if 'blocks' in k}
    torch.save(blocks, file)
    for part, said in ('', r'24 of 30 .* 6 missing \(cls_token, '), ('x', 'of module'):
        with pytest.raises(ValueError, match=said):
            load_backbone(wide, file, part=part, resize_patch=True)
