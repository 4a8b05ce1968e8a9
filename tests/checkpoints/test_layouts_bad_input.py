"""What cannot be read or written is refused in one line that says what and why."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from ccmim.checkpoints import read_weights, write_weights

QKV, FC1 = 'blocks.1.attn.qkv.weight', 'blocks.0.mlp.fc1.weight'


@pytest.fixture
def state(tiny_vit):
    return tiny_vit(pos_embed='learned').state_dict()


@pytest.fixture
def refuse(tmp_path):
    """Save tensors and expect that reading them fails with a message."""

    def refuse(tensors, message, **options):
        torch.save(dict(tensors), tmp_path / 'in.pth')  # without what ours note
        with pytest.raises(ValueError, match=message) as caught:
            read_weights(
                tmp_path / 'in.pth', **dict(dict(num_heads=2, img_size=64), **options)
            )
        assert '\n' not in str(caught.value)

    return refuse


def test_an_unknown_layout_shows_its_first_keys(refuse):
    refuse({'conv1.weight': torch.zeros(2), 'bn1.bias': torch.zeros(2)},
           'of no known layout: its keys are conv1.weight, bn1.bias, ...')  # fmt: skip


def test_a_part_that_a_run_does_not_have(refuse, state):
    run = {f'backbone.{name}': value for name, value in state.items()}
    refuse(
        run, 'has no part teacher.backbone: it is of backbone$', part='teacher.backbone'
    )


def test_another_layout_than_the_one_asked_for(refuse, state):
    for layout in ('mmseg', 'mmpretrain', 'hf', 'beit', 'dinov2'):
        refuse(state, f'of another layout than {layout}: its keys are ', layout=layout)


@pytest.mark.parametrize(
    ('name', 'shape', 'message'),
    [
        (QKV, (48, 32), r'has shape \(48, 32\), but \(96, 32\) in a ViT of width 32'),
        ('cls_token', (1, 1, 16), r'has shape \(1, 1, 16\), but \(1, 1, 32\)'),
        ('pos_embed', (1, 17, 16), r'has shape \(1, 17, 16\), but \(1, 17, 32\)'),
        ('pos_embed', (1, 15, 32), r'\(1, 15, 32\), but \(1, 17, 32\)'),
        (
            'patch_embed.proj.weight',
            (32, 3, 16, 8),
            r'\(32, 3, 16, 8\): its patches are no squares',
        ),
        ('patch_embed.proj.weight', (32, 768), 'no patch_embed.proj.weight of four'),
        ('blocks.1.mlp.fc2.weight', (32, 64), r'\(32, 64\), but \(32, 128\)'),
        (
            'blocks.0.ls1.gamma',
            (32,),
            r'blocks.0.ls2.gamma of shape \(32,\) is missing',
        ),
        ('blocks.1.ls1.gamma', (32,), r'ls1.gamma of shape \(32,\) is not in a ViT'),
        ('blocks.3.norm1.bias', (32,), 'blocks.2.* is missing for a ViT of .*depth 4'),
    ],
)
def test_files_that_contradict_themselves(refuse, state, name, shape, message):
    refuse(state | {name: torch.zeros(shape)}, message)


@pytest.mark.parametrize('name', [QKV, 'blocks.0.norm1.bias'])
def test_a_missing_tensor(refuse, state, name):
    del state[name]
    refuse(state, f'{name} of shape .* is missing')


def test_a_class_token_that_the_positions_want(refuse, state):
    del state['cls_token']
    refuse(state, r'\(1, 17, 32\), but \(1, 16, 32\) .* no class token')


def test_no_positions_at_all(refuse, state):
    del state['pos_embed']
    refuse(state, 'no positions, neither absolute nor relative')


@pytest.mark.parametrize(
    ('name', 'part'),
    [
        ('blocks.0.mlp.w12.weight', 'an MLP with a gate in other parts'),
        ('blocks.0.attn.inner_attn_ln.weight', 'norms inside EVA-02 blocks'),
        ('blocks.0.attns.0.qkv.weight', 'parallel blocks'),
        ('rope.freqs', 'rotary positions of another kind'),
        ('blocks.0.attn.qkv.lora_A.weight', 'LoRA: merge it into the weights first'),
        ('patch_embed.backbone.conv.weight', 'another patch embedding'),
        ('blocks.0.something.weight', 'an unknown part'),
    ],
)
def test_foreign_parts_are_named(refuse, state, name, part):
    refuse(state | {name: torch.zeros(4, 2)},
           rf'{name} of shape \(4, 2\) is of {part}, which ccmim.Vis')  # fmt: skip


def test_heads_must_be_known_and_fit(refuse, state, tmp_path):
    refuse(state, 'width of 32 has no usual number of heads: give', num_heads=None)
    refuse(state, 'num_heads=3 must divide embed_dim=32', num_heads=3)
    torch.save(state, tmp_path / 'in.pth')
    write_weights(
        read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64),
        tmp_path / 'a.pth',
        'timm',
    )
    with pytest.raises(ValueError, match='it says num_heads=2, not 4'):
        read_weights(tmp_path / 'a.pth', num_heads=4)


def test_heads_that_a_table_of_relative_positions_contradicts(refuse, tiny_vit):
    state = tiny_vit(rel_pos_bias=True).state_dict()
    refuse(
        state, r'bias_table has shape \(52, 2\), but \(52, 4\) .* 4 heads', num_heads=4
    )


def test_an_image_size_that_the_positions_contradict(refuse, state):
    refuse(state, r'shape \(1, 17, 32\), but \(1, 26, 32\) .* image 80', img_size=80)


def test_files_that_hold_no_tensors_or_are_no_files(refuse, tmp_path):
    refuse(dict(state_dict={}, epoch=3), 'holds no tensors')
    with pytest.raises(FileNotFoundError, match='checkpoint .*nowhere.pth does not'):
        read_weights(tmp_path / 'nowhere.pth')
    (tmp_path / 'broken.safetensors').write_bytes(b'\x08' + bytes(15))
    with pytest.raises(ValueError, match='broken.safetensors is damaged or no'):
        read_weights(tmp_path / 'broken.safetensors')


class Evil:
    def __reduce__(self):
        return print, ('run',)


def test_code_in_a_file_is_not_run(refuse, state, capsys):
    refuse(dict(model=state, args=Evil()), 'holds code')
    assert 'run' not in capsys.readouterr().out


def test_a_changed_value_is_seen(state, tmp_path):
    torch.save(state, tmp_path / 'in.pth')
    weights, out = (
        read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64),
        tmp_path / 'a.safetensors',
    )
    write_weights(weights, out, 'ccmim')
    content = bytearray(out.read_bytes())
    content[-1] ^= 1
    out.write_bytes(content)
    with pytest.raises(ValueError, match='a.safetensors is damaged: its tensors'):
        read_weights(out)


def test_folders_of_hugging_face(tmp_path, state):
    folder = tmp_path / 'model'
    folder.mkdir()
    with pytest.raises(
        ValueError, match=r'model is no model folder .* needs config.json'
    ):
        read_weights(folder)
    save_file(state, folder / 'model.safetensors')
    for config, message in (
        ('{"model_type": "swin"}', "model_type='swin'; read are vit, vit_mae, "),
        ('{"model_type": "vit", "hidden_act": "mish"}', "hidden_act='mish'; read are"),
        ('[]', 'model: '),
        ('{', 'model: '),
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
def test_a_config_that_the_tensors_contradict(state, tmp_path, said, message):
    torch.save(state, tmp_path / 'in.pth')
    folder = tmp_path / 'model'
    write_weights(
        read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64), folder, 'hf'
    )
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps(config | said))
    with pytest.raises(ValueError, match=message):
        read_weights(folder)


def test_layouts_that_cannot_hold_a_network(tiny_vit, tmp_path):
    for options, layout, lacking in (
        (dict(rel_pos_bias=True), 'timm', 'relative position bias'),
        (dict(layer_scale_init=0.1), 'hf', 'layer scale'),
        (dict(layer_scale_init=0.1), 'mmseg', 'layer scale'),
        (dict(qkv_bias=False), 'mmseg', 'no bias of queries, keys and values'),
        (dict(final_norm=False), 'timm', 'no final norm'),
        (
            dict(pos_embed='none', rel_pos_bias=True),
            'mmpretrain',
            'no position table, ',
        ),
    ):
        torch.save(tiny_vit(**options).state_dict(), tmp_path / 'in.pth')
        weights = read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64)
        with pytest.raises(ValueError, match=f'layout {layout} cannot hold: {lacking}'):
            write_weights(
                weights, tmp_path / ('o' if layout == 'hf' else 'o.pth'), layout
            )
    assert [path.name for path in tmp_path.iterdir()] == ['in.pth']


def test_a_layout_that_is_only_read(state, tmp_path):
    torch.save(state, tmp_path / 'in.pth')
    weights = read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64)
    with pytest.raises(ValueError, match='layout beit is read, not written'):
        write_weights(weights, tmp_path / 'out.pth', 'beit')


def test_where_it_cannot_be_written(state, tmp_path):
    torch.save(state, tmp_path / 'in.pth')
    weights = read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64)
    for name, layout, message in (
        ('out.onnx', 'timm', 'the layout timm wants .safetensors or .pth or .pt'),
        ('out.pth', 'safetensors', 'wants .safetensors'),
        ('out.safetensors', 'hf', 'the layout hf wants no ending: it is a folder'),
        ('in.pth', 'timm', 'in.pth is there already: give --overwrite'),
    ):
        with pytest.raises(ValueError, match=message):
            write_weights(weights, tmp_path / name, layout)
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError, match='file is there already, and no hf can take'):
        write_weights(weights, tmp_path / 'file', 'hf', overwrite=True)
    assert (tmp_path / 'file').read_text() == 'mine'


def test_a_file_is_replaced_only_when_asked(state, tmp_path):
    torch.save(state, tmp_path / 'in.pth')
    weights, out = (
        read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64),
        tmp_path / 'a.safetensors',
    )
    out.write_text('old')
    with pytest.raises(ValueError, match='overwrite'):
        write_weights(weights, out, 'timm')
    assert out.read_text() == 'old'
    write_weights(weights, out, 'timm', overwrite=True)
    assert load_file(out).keys() == weights.state.keys()
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.safetensors', 'in.pth']


def test_a_write_that_fails_leaves_what_was_there(state, tmp_path, monkeypatch):
    torch.save(state, tmp_path / 'in.pth')
    weights, out = (
        read_weights(tmp_path / 'in.pth', num_heads=2, img_size=64),
        tmp_path / 'a.pth',
    )
    write_weights(weights, out, 'ccmim')
    before = out.read_bytes()

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match='cannot write .*a.pth: No space left'):
        write_weights(weights, out, 'ccmim', overwrite=True)
    assert out.read_bytes() == before
