"""Weights of any project become ours with no key lost, and go back as they came."""

import argparse
import json

import pytest
import timm
import torch
from safetensors import safe_open
from timm.models.beit import Beit

from ccmim.checkpoints import (
    LAYOUTS,
    WRITABLE,
    Weights,
    architecture_of,
    load_backbone,
    read_weights,
    write_weights,
)
from ccmim.checkpoints.normalization import Pixels
from ccmim.checkpoints.renamings import OPENAI
from ccmim.checkpoints.sources import digest
from ccmim.vit import VisionTransformer
from tests.checkpoints.networks import difference, draw

PARTS = {
    'layer scale': dict(layer_scale_init=0.1), 'no final norm': dict(final_norm=False),
    'relative position bias': dict(rel_pos_bias=True),
    'no bias of queries, keys and values': dict(qkv_bias=False),
    'no class token': dict(class_token=False), 'register tokens': dict(reg_tokens=1),
    'a norm before the blocks': dict(pre_norm=True),
    'norms of queries and keys': dict(qk_norm=True),
    'rotary positions': dict(pos_embed='rotary'),
    'no position table': dict(pos_embed='none'),
    'attention rel_pos': dict(attention='rel_pos'),
}  # fmt: skip
SIZES = dict(embed_dim=32, depth=2, num_heads=2)


@pytest.fixture
def ours(tiny_vit):
    """Give the weights of a tiny backbone of ours, with the options given."""

    def ours(**options):
        vit = draw(tiny_vit(**options))
        if not vit.class_token:  # the row that nothing uses
            vit.pos_embed.data[:, :1] = 0
        pixels = Pixels(mean=(1.0,) * 3, std=(1.0,) * 3)
        return Weights(vit.state_dict(), architecture_of(vit), [], pixels)

    return ours


def test_timm(read, images):
    vit = draw(timm.models.VisionTransformer(64, init_values=0.1, **SIZES))
    weights = read(vit.state_dict())
    assert len(weights.state) == len(vit.state_dict()) - 2 == 34
    assert '36 tensors, layout timm (as its keys say)' in weights.report[0]
    assert '(as asked)' in read(vit.state_dict(), layout='timm').report[0]
    assert weights.report[1:] == ['  left out, of the classifier: head.* (2)']
    assert difference(weights, vit.forward_features, images) < 1e-5


def test_openais_clip(ours, read, tiny_vit, tmp_path, monkeypatch):
    """Its image encoder among the words', without a bias of patches."""
    own = ours(act='quick_gelu', pre_norm=True, norm_eps=1e-5, pos_embed='learned')
    own.state['patch_embed.proj.bias'].zero_()
    state = {f'visual.{k}': v for k, v in OPENAI.to_theirs(own.state).items()}
    del state['visual.conv1.bias']
    words = dict.fromkeys(('visual.proj', 'positional_embedding'), torch.zeros(2, 2))
    weights, lines = read(state | words), []
    assert 'layout openai-clip' in weights.report[0]
    assert '  patches have no bias: zeros' in weights.report
    assert weights.architecture == own.architecture
    assert all(torch.equal(weights.state[k], v) for k, v in own.state.items())
    log = 'ccmim.checkpoints.load.print_log'
    monkeypatch.setattr(log, lambda line, **_: lines.append(line))
    vit = tiny_vit(act='quick_gelu', pre_norm=True, pos_embed='learned')
    load_backbone(vit, tmp_path / 'in.pth')
    usual = ['norms of eps 1e-05', 'activation quick_gelu']
    assert weights.report[-3:-1] == [f'  {x}, as usual for this layout' for x in usual]
    assert lines[-2] == '  norm_eps is 1e-06 here; usual for this layout is 1e-05'
    assert lines[-1].startswith('  made for images that are normalized by mean 0.481')


@pytest.mark.parametrize('size', [64, [32, 128], [128, 32]])
def test_fixed_positions_tell_the_size_of_the_images(read, tiny_vit, size):
    """As many patches as a square has are not taken for one."""
    state = tiny_vit(img_size=size).state_dict()
    architecture = read(state, img_size=None).architecture
    assert architecture.img_size == size
    assert architecture.pos_embed == 'sincos'


@pytest.mark.parametrize('scale', [None, 0.1])
@pytest.mark.parametrize('shared', [False, True])
def test_beit(save, images, shared, scale):
    """A pretrained one: factors, a table for each block or for all, a mask token."""
    options = dict(use_rel_pos_bias=not shared, use_shared_rel_pos_bias=shared)
    options |= dict(use_abs_pos_emb=False, init_values=scale, global_pool='token')
    beit = Beit(64, **options, **SIZES)
    state = draw(beit).state_dict()
    state['mask_token'] = torch.zeros(1, 1, 32)
    state['blocks.0.attn.relative_position_index'] = torch.zeros(17, 17)
    weights = read_weights(save(dict(module=state)))
    assert 'layout beit' in weights.report[0]
    assert '  left out, of pretraining only: mask_token' in weights.report
    assert weights.architecture.num_heads == 2  # as the tables have columns
    assert not any('heads, as usual' in line for line in weights.report)
    assert weights.architecture.pos_embed == 'none'
    assert difference(weights, beit.forward_features, images) < 1e-5


def test_beit_finetuned_with_a_norm_after_pooling(read, images):
    """Its tokens have no norm, and neither have ours."""
    beit = draw(Beit(64, use_rel_pos_bias=True, init_values=0.1, **SIZES))
    weights = read(beit.state_dict(), num_heads=None)
    assert not weights.architecture.final_norm
    assert any('fc_norm.* (2)' in line for line in weights.report)
    assert difference(weights, beit.forward_features, images) < 1e-5


def test_both_kinds_of_tables_add_up(read):
    beit = draw(Beit(64, use_rel_pos_bias=True, use_shared_rel_pos_bias=True, **SIZES))
    state, name = beit.state_dict(), 'relative_position_bias_table'
    expected = state[f'blocks.1.attn.{name}'] + state[f'rel_pos_bias.{name}']
    assert torch.equal(read(state).state[f'blocks.1.attn.{name}'], expected)


@pytest.mark.parametrize('blocks', ['blocks.', 'blocks.0.'])
def test_dinov2(read, blocks):
    """With its mask token, positions of 37 x 37, and blocks in chunks when sharded."""
    vit = draw(timm.models.VisionTransformer(518, 14, init_values=0.1, **SIZES))
    state = {
        k.replace('blocks.', blocks): v
        for k, v in vit.state_dict().items()
        if not k.startswith('head')
    }
    state['mask_token'] = torch.zeros(1, 32)
    assert state['pos_embed'].shape == (1, 1 + 37 * 37, 32)
    weights = read(dict(teacher=state), img_size=None)
    assert 'layout dinov2' in weights.report[0]
    assert weights.architecture.img_size == 518
    assert '  positions are resampled as their owner does: dinov2' in weights.report
    assert weights.architecture.patch_size == 14
    images = torch.randn(1, 3, 518, 518)
    assert difference(weights, vit.forward_features, images) < 1e-5


@pytest.mark.parametrize('projector', [False, True])
def test_files_of_mae_and_of_the_published_ccmim(read, tiny_vit, projector):
    """Encoder at top level, decoder beside it, the command line pickled with it."""
    state = tiny_vit().state_dict()
    extra = ['mask_token', 'decoder_embed.weight', 'decoder_blocks.0.norm1.bias']
    extra += ['projector.0.weight'] * projector
    model = state | dict.fromkeys(extra, torch.zeros(3))
    args = argparse.Namespace(lr=0.1, output_dir='runs')
    weights = read(
        dict(
            model=model,
            optimizer={'state': {0: {'m': torch.ones(1)}}},
            epoch=7,
            args=args,
        )
    )
    name = 'ccmim-official' if projector else 'mae'
    assert f'layout {name} ' in weights.report[0]
    assert weights.report[1] == '  left out, of the run: optimizer, epoch, args'
    assert weights.report[2].startswith('  left out, of pretraining only: mask_token')
    assert weights.architecture.pos_embed == 'sincos'
    assert weights.state.keys() == state.keys()
    assert all(torch.equal(weights.state[k], v) for k, v in state.items())


def test_a_run_of_this_library(read, tiny_ccmim):
    model = tiny_ccmim()
    state = dict(state_dict=model.state_dict(), meta=dict(epoch=1), optimizer={})
    weights = read(state)
    assert 'layout ccmim ' in weights.report[0]
    assert 'decoder.* (' in weights.report[2]
    assert 'contrast.* (' in weights.report[2]
    assert weights.state.keys() == model.backbone.state_dict().keys()


def test_the_slow_network_of_a_run(read, tiny_vit):
    fast, slow = draw(tiny_vit()), draw(tiny_vit())
    model = torch.nn.ModuleDict(
        dict(backbone=fast, teacher=torch.nn.ModuleDict(dict(backbone=slow)))
    )
    for part, wanted in ('', fast), ('teacher.backbone', slow):
        weights = read(dict(state_dict=model.state_dict()), part=part)
        choice = 'backbone was read; there are also: teacher.backbone'
        assert any(choice in line for line in weights.report) == (not part)
        state = weights.state
        assert state.keys() == wanted.state_dict().keys()
        assert all(torch.equal(state[k], v) for k, v in wanted.state_dict().items())


def test_the_usual_heads_of_a_width_are_taken_and_said(save, tiny_vit):
    vit = timm.models.VisionTransformer(32, embed_dim=192, depth=1, num_heads=3)
    weights = read_weights(save(vit.state_dict()), img_size=32)
    assert weights.architecture.num_heads == 3
    assert '  3 heads, as usual for a width of 192' in weights.report
    told = read_weights(save(vit.state_dict()), img_size=32, num_heads=3)
    assert not any('heads, as usual' in line for line in told.report)
    places = '  positions of 2 x 2 patches'
    assert places not in weights.report, 'the size was given'
    assert places in read_weights(save(vit.state_dict())).report
    told = save({**tiny_vit(attention='rel_pos').state_dict()})  # by its tables
    assert read_weights(told, img_size=64).architecture.num_heads == 2
    size = dict(img_size=(208, 240))  # with the row of no token as many as 14 x 14
    bare = save({**tiny_vit(class_token=False, **size).state_dict()})
    assert read_weights(bare, num_heads=2).architecture.img_size == [208, 240]


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
@pytest.mark.parametrize('layout', sorted(set(WRITABLE) - {'hf', 'safetensors'}))
def test_there_and_back_is_the_identity(ours, tmp_path, layout, ending):
    for i, part in enumerate(('plain', *sorted(LAYOUTS[layout].holds))):
        act = part.removeprefix('the activation ')
        options = dict(act=act) if act != part else PARTS.get(part, {})
        weights = ours(**dict(dict(pos_embed='learned'), **options))
        out = tmp_path / f'out{i}.{ending}'
        lines = write_weights(weights, out, layout)
        assert f' {len(weights.state)} tensors' in lines[0]
        assert '0 missing, 0 unexpected, 0 changed' in lines[0]
        back = read_weights(out)  # the number of heads stands in the file
        assert 'as it says itself' in back.report[0]
        assert (back.architecture, back.pixels) == (
            weights.architecture,
            weights.pixels,
        )
        assert back.state.keys() == weights.state.keys()
        assert all(torch.equal(back.state[k], v) for k, v in weights.state.items())
        assert len(lines[1].split()[-1]) == 64


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_types_stay_as_they_are(tiny_vit, read, tmp_path, dtype):
    weights = read(tiny_vit().to(dtype).state_dict())
    write_weights(weights, tmp_path / 'out.safetensors', 'safetensors')
    back = read_weights(tmp_path / 'out.safetensors').state
    assert all(back[k].dtype == dtype for k in back)
    assert all(torch.equal(back[k], v) for k, v in weights.state.items())


@pytest.mark.parametrize(
    ('part', 'act'),
    [
        *(('plain', 'gelu_tanh'), ('layer scale', 'quick_gelu')),
        *(('register tokens', 'swiglu'), ('no class token', 'gelu')),
    ],
)
def test_timm_loads_what_is_written_for_it_strictly(ours, images, tmp_path, part, act):
    weights = ours(pos_embed='learned', norm_eps=1e-3, act=act, **PARTS.get(part, {}))
    write_weights(weights, tmp_path / 'out.pth', 'timm')
    vit = timm.models.VisionTransformer(**LAYOUTS['timm'].build(weights.architecture))
    timm.models.load_checkpoint(vit, str(tmp_path / 'out.pth'), strict=True)

    def tokens(images):  # ours has the mean, or the class token, and the patches
        theirs = vit.eval().forward_features(images)
        first = theirs[:, :1] if vit.has_class_token else theirs.mean(1, keepdim=True)
        return torch.cat([first, theirs[:, vit.num_prefix_tokens :]], dim=1)

    assert difference(weights, tokens, images) < 1e-5


@pytest.mark.parametrize(
    'options',
    [
        dict(pos_embed='none', rel_pos_bias=True, layer_scale_init=0.1),
        dict(final_norm=False, qkv_bias=False),
        dict(mlp_ratio=3.7, in_chans=4, patch_size=8),
        dict(img_size=(64, 96)),
    ],
)
def test_a_converted_file_loads_into_the_backbone_of_a_dense_task(
    read, tiny_vit, tmp_path, options
):
    """As ``init_cfg`` of a detection or segmentation config names it."""
    vit, out = draw(tiny_vit(**options)), tmp_path / 'out.safetensors'
    size = list(options.get('img_size', ())) or 64
    write_weights(read(vit.state_dict(), img_size=size), out, 'ccmim')
    built = VisionTransformer(
        **read_weights(out).architecture.options(),
        out_indices=(0, 1),
        init_cfg=dict(type='Pretrained', checkpoint=str(out)),
    )
    built.init_weights()
    for name, value in built.state_dict().items():
        assert torch.equal(value, vit.state_dict()[name]), name


def test_metadata_says_what_is_inside(ours, tmp_path):
    weights, out = ours(layer_scale_init=0.1), tmp_path / 'o.safetensors'
    lines = write_weights(weights, out, 'safetensors')
    with safe_open(out, 'pt') as file:
        said = json.loads(file.metadata()['ccmim'])
    assert said['layout'] == 'safetensors'
    assert lines[1].endswith(said['sha256'])
    assert said['architecture']['embed_dim'] == 32
    assert said['architecture']['layer_scale'] is True


def test_the_checksum_is_of_names_types_shapes_and_values():
    state = {'a': torch.arange(6.0), 'b': torch.zeros(2, dtype=torch.bfloat16)}
    assert digest(dict(reversed(state.items()))) == digest(state)
    for other in (
        state | {'a': torch.arange(6.0).reshape(2, 3)},
        state | {'a': torch.arange(6.0) + 1e-6},
        state | {'b': torch.zeros(2, dtype=torch.float16)},
        {'c' if k == 'b' else k: v for k, v in state.items()},
    ):
        assert digest(other) != digest(state)
