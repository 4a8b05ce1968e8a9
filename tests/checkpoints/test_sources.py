"""Names of weights are read from caches; what is no weights is called what it is."""

import json
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

import ccmim
from ccmim.checkpoints import Weights, architecture_of, read_weights, write_weights
from ccmim.checkpoints.hugging_face import read_config, timm_fields
from ccmim.checkpoints.sources import find_weights, name_of_weights
from ccmim.vit import VisionTransformer

SIZES = dict(embed_dim=32, depth=2, num_heads=2)


def test_a_name_of_timm_tells_its_architecture(hub_cache, monkeypatch):
    """Heads, eps, activation and rows of positions: of timm's own config."""
    monkeypatch.setattr(huggingface_hub, 'HfApi', None)  # asks the hub
    name = 'vit_tiny_patch16_224.augreg_in21k'
    theirs = timm.create_model(name, pretrained=False, num_classes=0).eval()
    folder = hub_cache(f'timm/{name}')
    save_file(theirs.state_dict(), folder / 'model.safetensors')
    config = dict(architecture='vit_tiny_patch16_224', num_features=192)
    (folder / 'config.json').write_text(json.dumps(config))
    images = torch.randn(1, 3, 224, 224)
    for weights in (f'timm:{name}', f'hf:timm/{name}', folder):
        vit = ccmim.get_model(weights).eval()
        with torch.no_grad():
            found = vit.encode(vit.embed(images))
            torch.testing.assert_close(found, theirs.forward_features(images))
    assert read_weights(f'timm:{name}').architecture.num_heads == 3
    assert ccmim.get_model(f'timm:{name}', img_size=96).grid == (6, 6)
    (folder / 'config.json').unlink()  # which timm itself does not download
    assert read_weights(f'timm:{name}').pixels.mean == (127.5,) * 3


SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
SHARDS += ['model.safetensors.index.json']
LISTED = (
    ['pytorch_model.bin', 'README.md', 'model.safetensors'],
    ['pytorch_model-00001-of-00001.bin', *SHARDS],
    ['pytorch_model.bin', 'tf_model.h5'],
)


@pytest.mark.parametrize(
    ('kind', 'weights'),
    [(0, ['model.safetensors']), (1, SHARDS), (2, ['pytorch_model.bin'])],
)
def test_one_set_of_weights_is_downloaded(hub_cache, monkeypatch, kind, weights):
    listed = [SimpleNamespace(rfilename=name) for name in LISTED[kind]]
    api = Mock(**{'return_value.model_info.return_value.siblings': listed})
    download = Mock(return_value='there')
    monkeypatch.setattr(huggingface_hub, 'HfApi', api)
    monkeypatch.setattr(huggingface_hub, 'snapshot_download', download)
    assert find_weights('hf:a/b') == (Path('there'), {})
    api.return_value.model_info.assert_called_once_with('a/b', timeout=10)
    beside = ['config.json', 'preprocessor_config.json']
    download.assert_called_once_with('a/b', allow_patterns=weights + beside)


@pytest.mark.parametrize(
    ('name', 'rows'),
    [
        ('vit_tiny_patch16_224', 1),
        ('deit3_small_patch16_224', 0),
        ('deit_tiny_distilled_patch16_224', 2),
        ('vit_base_patch16_siglip_224', 0),
        ('vit_small_patch16_dinov3', None),  # rotary
    ],
)
def test_how_many_positions_of_timms_belong_to_no_patch(name, rows):
    declared = timm_fields(name, {})
    assert declared.get('pos_rows') == rows
    assert declared.get('rope_theta') == (100 if rows is None else None)
    assert declared['img_size'] == (256 if rows is None else 224)
    wide = timm_fields(name, dict(img_size=(64, 96)))
    assert (wide['img_size'], wide.get('pos_rows')) == ([64, 96], rows)
    assert (
        read_config(dict(architecture=name, model_args=dict(img_size=(64, 96)))) == wide
    )


@pytest.mark.parametrize(
    ('name', 'message', 'file', 'sizes'),
    [
        ('eva02_tiny_patch14_224', 'is EVA-02', 'weights of EVA-02, whose rot', {}),
        ('eva02_base_patch14_448', 'is EVA-02', 'norms inside EVA-02 blocks', SIZES),
        ('eva02_enormous_patch14_clip_224', 'is EVA-02', '', {}),
        ('vit_pe_core_tiny_patch16_384', 'rotary', 'of a Perception Enc', {}),
        ('vit_pe_spatial_tiny_patch16_512', 'rotary', '', {}),
        ('vit_small_patch16_rope_ape_224', 'rotary', '', {}),
        ('vit_base_patch16_rope_mixed_224', 'rotary', 'rotary pos', SIZES),
        ('vit_base_patch16_rpn_224', 'blocks of type ResPostBlock', '', {}),
    ],
)
def test_what_looks_like_a_network_that_is_read(tmp_path, name, message, file, sizes):
    with pytest.raises(ValueError, match=message):
        timm_fields(name, {})
    if file:
        theirs = timm.create_model(name, **sizes)
        save_file(theirs.state_dict(), tmp_path / 'x.safetensors')
        with pytest.raises(ValueError, match=file):
            read_weights(tmp_path / 'x.safetensors', num_heads=3)


OFFLINE = 'is not in the cache .*HF_HUB_OFFLINE forbids a download: unset it, copy'


@pytest.mark.parametrize(
    ('name', 'message', 'error'),
    [
        ('timm:vit_small_patch14_dinov2.lvd142m', OFFLINE, None),
        ('hf:facebook/dinov2-small', OFFLINE, None),
        ('hf:a/b/c', 'write it as hf:OWNER/NAME', None),
        (
            'timm:vit_small_patch16_2',
            r'did you mean (vit_small_pa\w+(, |\?$)){3}',
            None,
        ),
        ('timm:test_vit.x', 'no weights of this name: there are test_vit.r160_', None),
        ('hf:a/b', 'the hub does not answer .TimeoutError.: connect', TimeoutError),
        ('hf:a/b', 'accepted: do so at https://hugg.*/a/b, then', 'GatedRepoError'),
        ('hf:a/b', 'a/b does not exist, or is private', 'RepositoryNotFoundError'),
    ],
)
def test_names_that_cannot_be_found(hub_cache, monkeypatch, name, message, error):
    if error is not None:
        kind = type(error, (OSError,), {}) if isinstance(error, str) else error
        api = Mock(**{'return_value.model_info.side_effect': kind()})
        monkeypatch.setattr(huggingface_hub, 'HfApi', api)
    with pytest.raises(ValueError, match=message) as caught:
        read_weights(name)
    assert '\n' not in str(caught.value)


def test_names_tell_folders_of_results_apart(tmp_path):
    names = ('timm:a_b.x', 'timm:a_b.y', 'hf:me/v1.5', 'hf:you/v1.5', 'dir/x.y.pth')
    found = [name_of_weights(name) for name in (*names, tmp_path)]
    expected = ['timm_a_b.x', 'timm_a_b.y', 'hf_me_v1.5', 'hf_you_v1.5', 'x.y']
    assert found == [*expected, tmp_path.name]


def test_a_shard_that_is_lost(tmp_path):
    (tmp_path / 'config.json').write_text('{"model_type": "vit"}')
    with pytest.raises(ValueError, match='is no model folder of Hugging Face'):
        read_weights(tmp_path)
    index = dict(weight_map={'a': 'model-00001.safetensors', 'b': 'm-2.safetensors'})
    (tmp_path / 'model.safetensors.index.json').write_text(json.dumps(index))
    save_file({'a': torch.ones(1)}, tmp_path / 'model-00001.safetensors')
    with pytest.raises(ValueError, match='lacks m-2.safetensors, which model.safe'):
        read_weights(tmp_path)


def test_of_two_files_in_a_folder_the_safe_one_is_read(tmp_path):
    vit = VisionTransformer(SIZES, 64)
    weights = Weights(vit.state_dict(), architecture_of(vit), [])
    write_weights(weights, tmp_path / 'out', 'hf')
    other = {k: v + 1 for k, v in load_file(tmp_path / 'out/model.safetensors').items()}
    torch.save(other, tmp_path / 'out/pytorch_model.bin')
    for added in (0, 1):
        state = read_weights(tmp_path / 'out').state
        assert torch.equal(state['cls_token'], vit.cls_token + added)
        (tmp_path / 'out/model.safetensors').unlink(missing_ok=True)


def test_what_is_no_checkpoint_is_called_what_it_is(tmp_path, tiny_vit):
    file = tmp_path / 'x.pth'
    for start, kind in (
        (b'\xff\xd8\xff\xe0' + bytes(99), 'is a JPEG image, no checkpoint'),
        (b'<!DOCTYPE html>', 'is an HTML or XML page'),
        (b'version https://git-lfs.github.com/spec/v1', 'is a pointer of Git LFS'),
    ):
        file.write_bytes(start)
        with pytest.raises(ValueError, match=kind):
            read_weights(file)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(file))
    with pytest.raises(ValueError, match=r'TorchScript program \(save the state_dict'):
        read_weights(file)
    save_file(tiny_vit().state_dict(), file)  # whatever it is called
    assert read_weights(file, num_heads=2).architecture.depth == 2


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (torch.ones(1, 1, 32, dtype=torch.int8), 'cls_token is of int8: quantized'),
        (torch.ones(1, 1, 32).to_sparse(), 'cls_token is sparse or quantized'),
        (torch.empty(1, 1, 32, device='meta'), 'has a shape and no values'),
    ],
)
def test_tensors_that_are_no_weights(read, tiny_vit, value, message):
    with pytest.raises(ValueError, match=message):
        read(dict(tiny_vit().state_dict(), cls_token=value))


def test_a_key_cannot_write_lines_of_its_own(read, tiny_vit):
    odd = {'blocks.0.x\n\x1b[32merror: all is well': torch.ones(1)}
    with pytest.raises(ValueError, match=r'x\\n\\x1b\[32merror') as caught:
        read(tiny_vit().state_dict() | odd)
    assert str(caught.value).isprintable()


def test_a_file_that_is_named_by_a_digest_is_read(tmp_path, tiny_vit):
    vit = tiny_vit()
    torch.save(vit.state_dict(), tmp_path / '0f3a')
    model = ccmim.get_model(tmp_path / '0f3a', num_heads=2, img_size=96)
    assert model.cls_token.equal(vit.cls_token)
