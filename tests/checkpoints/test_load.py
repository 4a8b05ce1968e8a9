"""Weights are loaded wholly or not at all, and the report says what happened."""

import pytest
import torch

from ccmim.checkpoints import backbone_state, load_backbone, to_ccmim


@pytest.fixture
def saved(tiny_ccmim, tmp_path):
    """A pretraining checkpoint as the Runner writes it, and its model."""
    model = tiny_ccmim()
    file = tmp_path / 'epoch_1.pth'
    torch.save(dict(meta=dict(epoch=1), state_dict=model.state_dict()), file)
    return file, model


def _same(ours, theirs):
    theirs = theirs.state_dict()
    return all(torch.equal(v, theirs[k]) for k, v in ours.state_dict().items())


def test_a_pretraining_checkpoint_works_as_it_is(saved, tiny_vit, images):
    file, model = saved
    vit = tiny_vit(
        out_indices=(1,),
        out_norm=True,
        init_cfg=dict(type='Pretrained', checkpoint=str(file)),
    )
    assert not _same(vit, model.backbone)
    vit.init_weights()
    assert _same(vit, model.backbone)
    model.eval()
    expected = model(images)[:, 1:].transpose(1, 2).reshape(4, 32, 4, 4)
    torch.testing.assert_close(vit.eval()(images)[0], expected, atol=1e-6, rtol=0)


def test_report_counts_keys(saved, tiny_vit, monkeypatch):
    file, _ = saved
    vit, lines = tiny_vit(), []
    monkeypatch.setattr(
        'ccmim.checkpoints.load.print_log', lambda line, **_: lines.append(line)
    )
    load_backbone(vit, file)
    total = len(vit.state_dict())
    report = f'{total} of {total} backbone keys matched, 0 missing, 0 unexpected'
    assert report in lines[0]


def test_without_a_checkpoint_it_says_so(tiny_vit):
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=None))
    with pytest.warns(UserWarning, match='training from scratch'):
        vit.init_weights()


def test_a_missing_key_stops_the_run(saved, tiny_vit, tmp_path):
    _, model = saved
    state = {f'backbone.{k}': v for k, v in model.backbone.state_dict().items()}
    del state['backbone.blocks.1.attn.qkv.weight']
    torch.save(dict(state_dict=state), tmp_path / 'short.pth')
    vit = tiny_vit()
    before = {k: v.clone() for k, v in vit.state_dict().items()}
    with pytest.raises(ValueError, match=r'1 missing \(blocks.1.attn.qkv.weight\)'):
        load_backbone(vit, tmp_path / 'short.pth')
    assert all(torch.equal(v, before[k]) for k, v in vit.state_dict().items())
    load_backbone(vit, tmp_path / 'short.pth', ['blocks.1.attn.qkv.weight'])
    assert torch.equal(vit.cls_token, model.backbone.cls_token)


def test_a_foreign_network_is_refused(tiny_vit, tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / 'linear.pth')
    with pytest.raises(ValueError, match='0 of .* matched.*2 unexpected'):
        load_backbone(tiny_vit(), tmp_path / 'linear.pth')


def test_another_width_is_named(saved, tiny_vit):
    file, _ = saved
    wide = tiny_vit(arch=dict(embed_dim=64, depth=2, num_heads=2))
    with pytest.raises(ValueError, match=r'\(1, 1, 32\), the backbone wants \(1, 1, 6'):
        load_backbone(wide, file)


def test_another_image_size_resamples_positions(saved, tiny_vit):
    file, model = saved
    vit = tiny_vit(img_size=(96, 128))
    load_backbone(vit, file)
    assert vit.pos_embed.shape == (1, 1 + 6 * 8, 32)
    assert torch.equal(vit.pos_embed[:, 0], model.backbone.pos_embed[:, 0])


def test_tables_of_relative_positions_are_resampled(tiny_vit, tmp_path):
    trained = tiny_vit(pos_embed='none', rel_pos_bias=True)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'relative.pth')
    vit = tiny_vit(pos_embed='none', rel_pos_bias=True, img_size=96)
    load_backbone(vit, tmp_path / 'relative.pth')
    tables = [
        b.attn.relative_position_bias_table for b in (*trained.blocks, *vit.blocks)
    ]
    assert [len(table) for table in tables] == [7 * 7 + 3] * 2 + [11 * 11 + 3] * 2


def test_a_deeper_network_is_refused(saved, tiny_vit):
    file, _ = saved
    flat = tiny_vit(arch=dict(embed_dim=32, depth=1, num_heads=2))
    with pytest.raises(ValueError, match='no place for blocks.1.attn.proj.bias'):
        load_backbone(flat, file)


@pytest.mark.parametrize('wrapper', ['state_dict', 'model', None])
@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.', 'module.backbone.'])
def test_usual_layouts(tiny_vit, wrapper, prefix):
    vit = tiny_vit()
    state = {prefix + k: v for k, v in vit.state_dict().items()}
    state[f'{prefix.removesuffix("backbone.")}head.weight'] = torch.zeros(2)
    found = backbone_state({wrapper: state} if wrapper else state)
    assert found.keys() == vit.state_dict().keys()


def test_names_of_mae_files():
    flat = dict.fromkeys(
        ['blocks.0.norm1.weight', 'mask_token', 'decoder_blocks.0.attn.proj.bias'], 1
    )
    assert set(to_ccmim(flat)) == {
        'backbone.blocks.0.norm1.weight',
        'decoder.mask_token',
        'decoder.blocks.0.attn.proj.bias',
    }
    plain = {'blocks.0.norm1.weight': 1}
    assert to_ccmim(plain) == plain
