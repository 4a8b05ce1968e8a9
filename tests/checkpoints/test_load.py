"""Weights are loaded wholly or not at all, and the report says what happened."""

from argparse import Namespace

import pytest
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu

import ccmim
from ccmim.apps.cli.probing import weights_from_args
from ccmim.apps.cli.starting import start_from
from ccmim.checkpoints import (
    architecture_of,
    load_backbone,
    read_weights,
    to_ccmim,
    write_weights,
)
from ccmim.checkpoints.load import build_backbone
from ccmim.checkpoints.mismatch import compare_names
from ccmim.vit import VisionTransformer, sincos_pos_embed


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
    vit, lines = tiny_vit(), []
    log = 'ccmim.checkpoints.load.print_log'
    monkeypatch.setattr(log, lambda line, **_: lines.append(line))
    load_backbone(vit, saved[0])
    total = len(vit.state_dict())
    report = f'{total} of {total} backbone keys matched, 0 missing, 0 unexpected'
    assert report in lines[0]
    assert lines[1:2] == ['  left out, of the run: meta']
    few, many = (
        compare_names(dict.fromkeys(k), {}, '')[0] for k in ('abcde', 'abcdef')
    )
    assert '5 missing (a, b, c, d, e), 0' in few
    assert '6 missing (a, b, c, d, e, ...), 0' in many


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
    lacks = r'1 missing \(blocks.1.attn.qkv.weight\).* Set arch to the depth of'
    with pytest.raises(ValueError, match=lacks):
        load_backbone(vit, tmp_path / 'short.pth')
    assert all(torch.equal(v, before[k]) for k, v in vit.state_dict().items())
    load_backbone(vit, tmp_path / 'short.pth', ['blocks.1.attn.qkv.weight'])
    assert torch.equal(vit.cls_token, model.backbone.cls_token)


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        (dict(embed_dim=64), r'\(1, 1, 32\), the backbone wants \(1, 1, 64\)'),
        (dict(depth=1), 'no place for blocks.1.attn.proj.bias'),
    ],
)
def test_a_network_of_another_size_is_refused(saved, tiny_vit, sizes, message):
    vit = tiny_vit(arch=dict(embed_dim=32, depth=2, num_heads=2) | sizes)
    with pytest.raises(ValueError, match=message):
        load_backbone(vit, saved[0])


def test_other_channels_are_named_wherever_photos_come(
    saved, tiny_vit, image_folder, tmp_path
):
    """By whatever reads photos, and before anything is trained."""
    file, _ = saved
    with pytest.raises(ValueError, match='of images of 3 channels.*takes 4'):
        load_backbone(tiny_vit(in_chans=4), file)
    with pytest.raises(ValueError, match='the model takes 4 channels'):
        ccmim.extract_features(tiny_vit(in_chans=4), image_folder)
    architecture = architecture_of(tiny_vit(in_chans=4))
    with pytest.raises(ValueError, match='other.pth takes 4 channels'):
        start_from(Config(), architecture, 'other.pth')
    torch.save(tiny_vit(in_chans=1).state_dict(), tmp_path / 'gray.pth')
    told = Namespace(num_heads=2, img_size=None, part='')
    with pytest.raises(ValueError, match='gray.pth takes 1 channels'):
        weights_from_args(str(tmp_path / 'gray.pth'), told)


@pytest.mark.parametrize('resample', ['antialiased', 'bicubic'])
def test_another_image_size_resamples_positions(saved, tiny_vit, monkeypatch, resample):
    (file, model), lines = saved, []
    log = 'ccmim.checkpoints.load.print_log'
    monkeypatch.setattr(log, lambda line, **_: lines.append(line))
    vit = tiny_vit(img_size=(96, 128), pos_resample=resample)
    load_backbone(vit, file)
    owner = '' if resample == 'antialiased' else ' (its owner: antialiased)'
    line = f'  positions resampled from 4 x 4 to 6 x 8 patches, {resample}{owner}'
    assert line in lines
    assert vit.pos_embed.shape == (1, 1 + 6 * 8, 32)
    assert torch.equal(vit.pos_embed[:, 0], model.backbone.pos_embed[:, 0])


def test_tables_of_relative_positions_are_resampled(tiny_vit, save):
    trained = tiny_vit(pos_embed='none', rel_pos_bias=True)
    vit = tiny_vit(pos_embed='none', rel_pos_bias=True, img_size=96)
    load_backbone(vit, file := save(dict(state_dict=trained.state_dict())))
    load_backbone(tiny_vit(rel_pos_bias=True), file, ['pos_embed'])
    blocks = (*trained.blocks, *vit.blocks)
    tables = [len(block.attn.relative_position_bias_table) for block in blocks]
    assert tables == [7 * 7 + 3] * 2 + [11 * 11 + 3] * 2


@pytest.mark.parametrize('wrapper', ['state_dict', 'model', 'teacher', None])
@pytest.mark.parametrize(
    'prefix',
    [
        *('', 'module.', 'backbone.', 'module.backbone.', '_backbone.', 'encoder.'),
        *('net.backbone.', 'student.backbone.', 'module.base_encoder.'),
        *('_orig_mod.', '_fsdp_wrapped_module.model.'),
    ],
)
def test_wrappers_and_prefixes(tiny_vit, save, wrapper, prefix):
    vit, wrapped = tiny_vit(), 'blocks.1._checkpoint_wrapped_module.'
    state = {
        prefix + k.replace('blocks.1.', wrapped): v for k, v in vit.state_dict().items()
    }
    state |= {'projector.weight': torch.zeros(2), 'n_averaged': torch.tensor(3)}
    file = save({wrapper: state} if wrapper else state, 'last.ckpt')
    assert read_weights(file, num_heads=2).state.keys() == vit.state_dict().keys()
    load_backbone(loaded := tiny_vit(), file)
    assert _same(loaded, vit)


def test_which_network_of_several(tiny_vit, read):
    """The one that is transferred; the others by name, the averaged one as 'ema'."""
    first, second = tiny_vit(), tiny_vit()
    with torch.no_grad():
        second.cls_token += 1

    def which(*names, **options):
        networks = zip(names, (first, second), strict=True)
        state = read({k: v.state_dict() for k, v in networks}, **options).state
        return 1 if torch.equal(state['cls_token'], first.cls_token) else 2

    assert which('state_dict', 'state_dict_ema') == 1
    assert which('state_dict', 'state_dict_ema', part='ema') == 2
    assert which('student', 'teacher') == 2
    assert which('student', 'teacher', part='student') == 1
    assert which('encoder', 'target_encoder') == 2
    assert which('momentum_encoder', 'base_encoder') == 2
    assert which('net', 'ema') == 1
    assert which('net.a', 'net.other', part='net') == 1
    with pytest.raises(ValueError, match='several networks: choose by part: a, b'):
        which('a', 'b')
    with pytest.raises(ValueError, match='no part c: it is of a, b'):
        which('a', 'b', part='c')


def test_mmengines_average_is_its_state_dict(tiny_vit, read):
    """EMAHook swaps the two when it saves, so that `state_dict` is the averaged one."""
    averaged, trained = tiny_vit(), tiny_vit()
    with torch.no_grad():
        trained.cls_token += 1
    average = {f'module.backbone.{k}': v for k, v in trained.state_dict().items()}
    content = dict(
        meta={},
        state_dict={f'backbone.{k}': v for k, v in averaged.state_dict().items()},
        ema_state_dict=dict(average, steps=torch.tensor(7)),
    )
    for part, vit in (('', averaged), ('ema', averaged), ('trained', trained)):
        state = read(content, part=part).state
        assert torch.equal(state['cls_token'], vit.cls_token), part


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch=dict(embed_dim=32, depth=2, num_heads=4)), 'says num_heads=2, .* 4'),
        (dict(norm_eps=1e-5), 'says norm_eps=1e-06, the backbone has 1e-05: set norm_'),
        (dict(act='gelu_tanh'), 'says act=gelu, the backbone has gelu_tanh: set act'),
        (dict(reg_tokens=2), r'1 missing .reg_token.*Set backbone=dict.reg_tokens=0\)'),
        (dict(pre_norm=True), 'Set backbone=dict.pre_norm=False\\)'),
        (dict(layer_scale_init=0.1), 'Set backbone=dict.layer_scale_init=None\\)'),
        (dict(qkv_bias=False), 'qkv.bias: set backbone=dict.qkv_bias=True\\)'),
        (
            dict(arch='tiny', img_size=224, qkv_bias=False, mlp_ratio=2),
            "dict.arch={'embed_dim': 32[^}]*}, mlp_ratio=4.0, qkv_bias=True",
        ),
        (dict(mlp_ratio=2), 'fc1.weight has .*: set backbone=dict.mlp_ratio=4.0.$'),
        (dict(class_token=False), 'cls_token: set backbone=dict.class_token=True\\)'),
    ],
)
def test_what_a_file_says_must_be_the_backbones(
    tiny_vit, read, tmp_path, options, message
):
    out = tmp_path / 'out.safetensors'
    write_weights(read(tiny_vit().state_dict()), out, 'safetensors')
    load_backbone(tiny_vit(), out)
    with pytest.raises(ValueError, match=message):
        load_backbone(tiny_vit(**options), out)


def test_the_longest_period_is_that_of_the_file(tiny_vit, read, tmp_path):
    out = tmp_path / 'out.safetensors'
    write_weights(read(tiny_vit(pos_embed='rotary').state_dict()), out, 'safetensors')
    load_backbone(tiny_vit(pos_embed='rotary'), out)
    said = dict(none='set pos_embed to rotary', rotary='theta=100.0, .* has 50.0: set')
    for kind, message in said.items():
        with pytest.raises(ValueError, match=message):
            load_backbone(tiny_vit(pos_embed=kind, rope_theta=50.0), out)
    read(dict(tiny_vit().state_dict()))
    with pytest.raises(ValueError, match='set pos_embed to learned'):
        load_backbone(tiny_vit(pos_embed='rotary'), tmp_path / 'in.pth')


def test_a_network_of_ours_notes_what_its_weights_do_not_tell(tiny_ccmim, tmp_path):
    """Heads, grid and the like come with a run's checkpoint, and are compared."""
    arch = dict(embed_dim=32, depth=2, num_heads=4)
    size, kind = (64, 144), dict(pos_embed='learned', act='quick_gelu')
    options = dict(arch=arch, img_size=size, **kind)
    model = tiny_ccmim(backbone=options, decoder=dict(img_size=size))
    state = weights_to_cpu(get_state_dict(model))
    torch.save(dict(meta=dict(epoch=1), state_dict=state), tmp_path / 'run.pth')
    found = read_weights(tmp_path / 'run.pth')
    assert found.architecture == architecture_of(model.backbone)
    vit = VisionTransformer(**found.architecture.options())
    load_backbone(vit, tmp_path / 'run.pth')
    assert _same(vit, model.backbone)
    other = VisionTransformer(**{**options, 'arch': dict(arch, num_heads=2)})
    with pytest.raises(ValueError, match="4, the backbone has 2: set arch's num_heads"):
        load_backbone(other, tmp_path / 'run.pth')
    with pytest.raises(ValueError, match='it says num_heads=4, not 2'):
        read_weights(tmp_path / 'run.pth', num_heads=2)


def test_positions_that_leave_their_grid_open_are_asked_for(tiny_vit, tmp_path, read):
    """36 are 6 x 6 and 4 x 9, unless neighbors are alike or the backbone says."""
    vit = tiny_vit(pos_embed='learned', img_size=(64, 144))
    with pytest.raises(ValueError, match='open whether its images had 96 x 96 or '):
        read(dict(vit.state_dict()), img_size=None)
    bare = dict(vit.state_dict(), pos_embed=vit.pos_embed[:, 1:])  # as of DeiT III
    with pytest.raises(ValueError, match='36 .* 96 x 96 or 112 x 80 or 80 x 112 px'):
        read(bare, img_size=None)
    told = read(dict(vit.state_dict()), img_size=[64, 144])
    assert told.architecture.img_size == [64, 144]
    like = tiny_vit(pos_embed='learned', img_size=(64, 144))
    load_backbone(like, tmp_path / 'in.pth')
    wide = tiny_vit(pos_embed='learned', img_size=128)
    with pytest.raises(ValueError, match='open whether'):
        load_backbone(wide, tmp_path / 'in.pth')
    load_backbone(wide, tmp_path / 'in.pth', img_size=[64, 144])
    assert torch.equal(wide.pos_embed[0, 1:], vit.positions((8, 8)))
    assert build_backbone(tmp_path / 'in.pth', [64, 144], num_heads=2).grid == (4, 9)
    state = dict(vit.state_dict())
    state['pos_embed'] = sincos_pos_embed(32, (4, 9)) + 0.1 * state['pos_embed']
    trained = read(state, img_size=None).architecture
    assert (trained.img_size, trained.pos_embed) == ([64, 144], 'learned')


def test_names_of_mae_files():
    flat = 'blocks.0.norm1.weight', 'mask_token', 'decoder_blocks.0.attn.proj.bias'
    ours = 'backbone.blocks.0.norm1.weight', 'decoder.mask_token'
    expected = (*ours, 'decoder.blocks.0.attn.proj.bias')
    assert tuple(to_ccmim(dict.fromkeys(flat, 1))) == expected
    plain = {'blocks.0.norm1.weight': 1}
    assert to_ccmim(plain) == plain
