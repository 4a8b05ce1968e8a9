"""What cannot be read or written is refused in one line that says what and why."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from ccmim.checkpoints import LAYOUTS, read_weights, write_weights
from tests.checkpoints.conftest import flip


@pytest.fixture
def state(tiny_vit):
    return tiny_vit(pos_embed='learned').state_dict()


@pytest.fixture
def weights(state, read):
    """Those of a file."""
    return read(state)


@pytest.fixture
def refuse(read):
    """Save tensors and expect that reading them fails with a message."""

    def refuse(tensors, message, **options):
        with pytest.raises(ValueError, match=message) as caught:
            read(dict(tensors), **options)  # without what ours note
        assert '\n' not in str(caught.value)

    return refuse


# A part and its shape in place of the network's, or None to take it out; what is said.
PATCH, QKV = 'patch_embed.proj.weight', 'blocks.1.attn.qkv.weight'
CONTRADICTIONS = [
    (QKV, (48, 32), r'has shape \(48, 32\), but \(96, 32\) in a ViT of width 32'),
    ('cls_token', (1, 1, 16), r'has shape \(1, 1, 16\), but \(1, 1, 32\)'),
    ('pos_embed', (1, 17, 16), r'has shape \(1, 17, 16\), but \(1, 17, 32\)'),
    ('pos_embed', (1, 15, 32), r'\(1, 15, 32\), but \(1, 17, 32\)'),
    (PATCH, (32, 3, 16, 8), r'\(32, 3, 16, 8\): its patches are no squares'),
    (PATCH, (32, 768), 'no patch_embed.proj.weight of four'),
    ('blocks.1.mlp.fc2.weight', (32, 64), r'\(32, 64\), but \(32, 128\)'),
    ('blocks.0.ls1.gamma', (32,), r'blocks.0.ls2.gamma of shape \(32,\) is missing'),
    ('blocks.1.ls1.gamma', (32,), r'ls1.gamma of shape \(32,\) is not in a ViT'),
    ('blocks.3.norm1.bias', (32,), 'blocks.2.* is missing for a ViT of .*depth 4'),
    (QKV, None, f'{QKV} of shape .* is missing'),
    ('blocks.0.norm1.bias', None, 'blocks.0.norm1.bias of shape .* is missing'),
    ('cls_token', None, r'\(1, 17, 32\), but \(1, 16, 32\) .* no class token'),
    ('pos_embed', None, 'no positions, neither absolute nor relative'),
]
FOREIGN = {
    'blocks.0.mlp.w12.weight': 'an MLP with a gate in other parts',
    'blocks.0.attn.inner_attn_ln.weight': 'norms inside EVA-02 blocks',
    'blocks.0.attns.0.qkv.weight': 'parallel blocks',
    'rope.freqs': 'rotary positions of another kind',
    'blocks.0.attn.qkv.lora_A.weight': 'LoRA: merge it into the weights first',
    'patch_embed.backbone.conv.weight': 'another patch embedding',
    'blocks.0.something.weight': 'an unknown part',
}
CONTRADICTIONS += [
    (name, (4, 2), rf'{name} of shape \(4, 2\) is of {part}, which ccmim.Vis')
    for name, part in FOREIGN.items()
]


@pytest.mark.parametrize(('name', 'shape', 'message'), CONTRADICTIONS)
def test_files_that_contradict_themselves(refuse, state, name, shape, message):
    state.pop(name, None)
    refuse(state | ({name: torch.zeros(shape)} if shape else {}), message)


def test_an_unknown_layout_shows_its_first_keys_or_a_part_that_is_known(refuse, state):
    keys = {f'model.module.{name}': torch.zeros(2) for name in 'abcde'}
    refuse(keys, 'of no known layout: its keys are a, b, c, d, [.]{3}$')
    parts = {'.attn.': '.attns.0.', '.mlp.': '.ffns.0.'}
    for part, parallel in parts.items():
        state = {name.replace(part, parallel): value for name, value in state.items()}
    refuse(state, 'no known layout, with parallel blocks, which')


def test_what_was_asked_for_and_is_not_there(refuse, state, tiny_vit):
    run = {f'backbone.{name}': value for name, value in state.items()}
    message = 'has no part teacher.backbone: it is of backbone$'
    refuse(run, message, part='teacher.backbone')
    refuse(dict(model=state), 'no part c: it is of the network itself$', part='c')
    for layout in ('mmseg', 'mmpretrain', 'hf', 'beit', 'dinov2'):
        refuse(state, f'of another layout than {layout}: its keys are ', layout=layout)
    refuse(state, 'width of 32 has no usual number of heads: give', num_heads=None)
    refuse(state, 'num_heads=3 must divide embed_dim=32', num_heads=3)
    refuse(state, r'shape \(1, 17, 32\), but \(1, 26, 32\) .* image 80', img_size=80)
    table = tiny_vit(rel_pos_bias=True).state_dict()
    message = r'bias_table has shape \(52, 2\), but \(52, 4\) .* 4 heads'
    refuse(table, message, num_heads=4)


def test_files_that_hold_no_tensors_or_are_no_files(refuse, tmp_path):
    refuse(dict(state_dict={}, epoch=3), 'holds no tensors')
    with pytest.raises(FileNotFoundError, match='checkpoint .*nowhere.pth does not'):
        read_weights(tmp_path / 'nowhere.pth')


def test_a_flipped_bit_is_seen(weights, tmp_path):
    out = tmp_path / 'a.safetensors'
    write_weights(weights, out, 'ccmim')
    for file, message in (out, ': its tensors'), (tmp_path / 'in.pth', ''):
        flip(file)
        with pytest.raises(ValueError, match=f'{file.name} is damaged{message}'):
            read_weights(file, num_heads=2)


def test_folders_of_hugging_face(tmp_path, state):
    folder = tmp_path / 'model'
    folder.mkdir()
    with pytest.raises(ValueError, match='model is no model folder .* config.json'):
        read_weights(folder)
    save_file(state, folder / 'model.safetensors')
    for config, message in (
        ('{"model_type": "swin"}', "model_type='swin'; read are vit, vit_mae, "),
        ('{"model_type": "vit", "hidden_act": "mish"}', "hidden_act='mish'; read are"),
        ('[]', 'config.json is damaged'),
    ):
        (folder / 'config.json').write_text(config)
        with pytest.raises(ValueError, match=message):
            read_weights(folder)


@pytest.mark.parametrize(
    ('said', 'message'),
    [
        (dict(hidden_size=64), r'cls_token has shape \(1, 1, 32\), but \(1, 1, 64\)'),
        (dict(num_hidden_layers=3), 'blocks.2.norm1.weight .* is missing'),
        (dict(num_hidden_layers=1), 'blocks.1.* is not in a ViT of .*depth 1'),
        (dict(patch_size=8, image_size=32), 'patches are of 16 px, it says 8'),
        (dict(image_size=[64, 96]), r'\(1, 17, 32\), but \(1, 25, 32\)'),
        (dict(intermediate_size=64), r'\(128, 32\), but \(64, 32\)'),
        (dict(qkv_bias=False), 'blocks.0.attn.qkv.bias .* is not in a ViT'),
    ],
)
def test_a_config_that_the_tensors_contradict(weights, tmp_path, said, message):
    folder = tmp_path / 'model'
    write_weights(weights, folder, 'hf')
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps(config | said))
    with pytest.raises(ValueError, match=message):
        read_weights(folder)


CONFIG = '{"model_type": "vit", "hidden_size": "a"}'
DEEP = '[' * 100_000


@pytest.mark.parametrize(
    ('told', 'beside', 'message'),
    [
        (DEEP, {}, 'its metadata are no JSON'),
        ('{"architecture": 3}', {}, 'it declares 3 of its network'),
        ('{"pixels": "x"}', {}, "it declares 'x' of its network"),
        ('{"architecture": {"num_heads": 0}}', {}, 'num_heads=0: it should be greater'),
        ('3', {'config.json': DEEP}, 'config.json is damaged'),
        ('3', {'config.json': '{"model_type": []}'}, 'config.json is damaged'),
        ('3', {'config.json': CONFIG}, "it declares embed_dim='a': it should be a val"),
        ('3', {'b.index.json': '[]', 'config.json': '{}'}, 'b.index.json is damaged'),
    ],
)
def test_odd_metadata_are_named_in_a_line(state, tmp_path, told, beside, message):
    file = tmp_path / ('a' if 'b.index.json' in beside else 'model.safetensors')
    save_file(state, file, dict(ccmim=told))
    for name, text in beside.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_weights(tmp_path if beside else file)
    assert str(caught.value).startswith(str(tmp_path))


def test_layouts_that_cannot_hold_a_network(tiny_vit, tmp_path, read):
    for options, layout, lacking in (
        (dict(rel_pos_bias=True), 'timm', 'relative position bias'),
        (dict(layer_scale_init=0.1), 'hf', 'layer scale'),
        (dict(layer_scale_init=0.1), 'mmseg', 'layer scale'),
        (dict(qkv_bias=False), 'mmseg', 'no bias of queries, keys and values'),
        (dict(final_norm=False), 'timm', 'no final norm'),
        (dict(pos_embed='none', rel_pos_bias=True), 'mmpretrain', 'no position tab'),
    ):
        weights = read(tiny_vit(**options).state_dict())
        out = tmp_path / ('o' if layout == 'hf' else 'o.pth')
        with pytest.raises(ValueError, match=f'layout {layout} cannot hold: {lacking}'):
            write_weights(weights, out, layout)
    assert [path.name for path in tmp_path.iterdir()] == ['in.pth']


def test_a_layout_that_changes_weights_is_refused(weights, tmp_path, monkeypatch):
    wrong = LAYOUTS['timm']._replace(
        write=lambda state: {k: v + 1 for k, v in state.items()}
    )
    monkeypatch.setitem(LAYOUTS, 'timm', wrong)
    with pytest.raises(ValueError, match='the layout timm changes these weights'):
        write_weights(weights, tmp_path / 'out.pth', 'timm')


def test_where_it_cannot_be_written(weights, tmp_path):
    for name, layout, message in (
        ('out.onnx', 'timm', 'the layout timm wants .safetensors or .pth or .pt'),
        ('out.pth', 'safetensors', 'wants .safetensors'),
        (
            'out.pth',
            'beit',
            'beit is read, not written: take hf, mmseg, mmpretrain, cc',
        ),
        ('out.safetensors', 'hf', 'the layout hf wants no ending: it is a folder'),
        ('in.pth', 'timm', 'in.pth is there already: give --overwrite'),
    ):
        with pytest.raises(ValueError, match=message):
            write_weights(weights, tmp_path / name, layout)
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError, match='file is there already, and no hf can take'):
        write_weights(weights, tmp_path / 'file', 'hf', overwrite=True)
    assert (tmp_path / 'file').read_text() == 'mine'


def test_a_file_is_replaced_as_a_whole_or_not(weights, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    out = tmp_path / 'a.safetensors'
    out.write_text('old')
    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match='cannot write .*safetensors: No space left'):
        write_weights(weights, out, 'timm', overwrite=True)
    assert out.read_text() == 'old'
    monkeypatch.undo()
    write_weights(weights, out, 'timm', overwrite=True)
    assert load_file(out).keys() == weights.state.keys()
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.safetensors', 'in.pth']
    write_weights(weights, tmp_path / 'a', 'hf')
    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match='cannot write .*safetensors: No space left'):
        write_weights(weights, tmp_path / 'a', 'hf', overwrite=True)
    assert not (tmp_path / 'a/config.json').exists(), 'of weights that are not there'
