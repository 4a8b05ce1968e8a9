"""The Python API: five lines in a notebook, and what it refuses."""

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from PIL import Image

import ccmim
from ccmim.api.catalogue import config_file, home
from ccmim.apps.compare import Score
from ccmim.checkpoints import Weights, architecture_of, write_weights
from ccmim.checkpoints.normalization import MEAN, STD, Pixels
from ccmim.data.transforms import ResizeCenterCrop
from ccmim.vit import VisionTransformer

FIVE_LINES = """
import ccmim
print(ccmim.list_models('ccmim_vit?'))
model = ccmim.get_model('ccmim_vitt')
features = ccmim.extract_features(model, 'photos')
similarity = features @ features.T
"""
HEAVY = ('timm', 'torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg')


def test_five_lines_in_a_notebook(image_folder, monkeypatch, capsys):
    """Names, a model, features of a folder: nothing else is needed."""
    monkeypatch.chdir(image_folder.parent)
    found = {}
    for line in FIVE_LINES.strip().splitlines():
        exec(line, found)
    assert "'ccmim_vitb'" in capsys.readouterr().out
    assert found['features'].shape == (8, 192)
    assert found['similarity'].shape == (8, 8)
    assert found['features'].std(0).mean() > 0  # of different photos


def test_import_and_listing_are_light():
    """Neither the import nor a list of names loads a library."""
    code = (
        'import sys, ccmim; ccmim.list_models(); ccmim.list_methods(); '
        'from ccmim.apps.cli.parsers import make_parser; make_parser(); '
        f'print([name for name in {HEAVY} if name in sys.modules]); '
        'import ccmim.registry; {*sys.modules} & {"timm", "mmcv", "mmdet", "mmseg"} or '
        'print("mmengine alone")'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout == '[]\nmmengine alone\n', done.stdout + done.stderr


def test_no_two_configs_have_one_name():
    files = [*(home() / 'mm_configs').glob('[!_]*/*.py')]
    assert sorted({file.stem for file in files}) == sorted(f.stem for f in files)


def test_lists_are_sorted_and_filtered():
    names = ccmim.list_models()
    assert names == sorted(names)
    assert {'ccmim_vitb', 'mask_rcnn_vitb_coco', 'upernet_vitb_ade20k'} <= {*names}
    assert ccmim.list_models('hpm_vitt_cifar') == ['hpm_vitt_cifar10']
    names = [f'{name}_toy_64px' for name in ('ccmim', 'fcos', 'mae')]
    assert ccmim.list_models('*toy_64') == names
    assert not [n for n in ccmim.list_models() if n.startswith(('knn', 'linear'))]
    assert 'ccmim_mask50_cifar10' not in ccmim.list_models()
    assert config_file('ccmim_mask50_cifar10').is_file()
    assert 'ccmim' in ccmim.list_methods()
    assert 'mae' in ccmim.list_methods()


@pytest.fixture
def tiny(tiny_mae):
    """A tiny method, as ``get_model`` would build it."""
    return tiny_mae().train()


ARCH = dict(_delete_=True, embed_dim=32, depth=2, num_heads=2)
SMALL = dict(backbone=dict(arch=ARCH, img_size=64))
SMALL['decoder'] = dict(in_dim=32, embed_dim=16, depth=1, num_heads=2, img_size=64)

OTHER = dict(SMALL, decoder=dict(SMALL['decoder'], embed_dim=32))


def test_weights_come_from_a_run_or_a_file_of_the_backbone(tmp_path):
    """The whole model where the file has it, else the backbone."""
    model = ccmim.get_model('mae_vitt', **SMALL)
    whole, alone = tmp_path / 'epoch_1.pth', tmp_path / 'backbone.pth'
    torch.save(dict(state_dict=model.state_dict()), whole)
    torch.save(model.backbone.state_dict(), alone)
    same = ccmim.get_model('mae_vitt', pretrained=whole, **SMALL).state_dict()
    assert all(same[name].equal(value) for name, value in model.state_dict().items())

    cfg = Config(dict(model=ccmim_config(), default_scope='ccmim'))
    part = ccmim.get_model(cfg, pretrained=alone, mask_ratio=0.5, **SMALL)
    assert part.mask_ratio == 0.5
    assert cfg.model.mask_ratio == 0.75, 'the config of the user is unchanged'
    own = part.backbone.state_dict()
    assert all(own[name].equal(v) for name, v in model.backbone.state_dict().items())
    decoder = part.decoder.state_dict()
    others = model.decoder.state_dict()
    assert not all(decoder[name].equal(value) for name, value in others.items())


def ccmim_config():
    return Config.fromfile(config_file('mae_vitt')).model


def test_a_file_of_weights_is_a_model(tmp_path):
    """``ccmim.get_model('backbone.safetensors')``: the Vision Transformer in it."""
    vit = VisionTransformer('tiny', img_size=32, patch_size=4)
    torch.save(vit.state_dict(), tmp_path / 'vit.pth')
    found = ccmim.get_model(tmp_path / 'vit.pth')
    assert found.grid == (8, 8)
    assert all(v.equal(vit.state_dict()[k]) for k, v in found.state_dict().items())
    with pytest.raises(ValueError, match='leave out pretrained'):
        ccmim.get_model(tmp_path / 'vit.pth', pretrained=tmp_path / 'vit.pth')


def test_weights_of_another_size_are_refused(tmp_path):
    model = ccmim.get_model('mae_vitt', **SMALL)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'epoch_1.pth')
    with pytest.raises(ValueError, match=r'epoch_1\.pth is of a model of another size'):
        ccmim.get_model('mae_vitt', pretrained=tmp_path / 'epoch_1.pth', **OTHER)


def test_every_form_of_an_image_gives_the_same_features(tiny, tmp_path):
    """A PNG, a picture, an array, tensors of bytes and of normalized floats."""
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (80, 70, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    picture.save(tmp_path / 'a.png')
    pixels = torch.from_numpy(array).permute(2, 0, 1)
    cut = np.asarray(ResizeCenterCrop(64)(picture), np.float32)
    ready = torch.from_numpy((cut - MEAN) / STD).permute(2, 0, 1).float()
    forms = [str(tmp_path / 'a.png'), tmp_path, picture, array, pixels, ready]
    forms += [array.astype(np.uint16) * 257, array / 255, ready.double()]
    features, maps = ccmim.extract_features(tiny, forms, maps=True, batch_size=4)
    assert features.shape == (9, 32)
    assert maps.shape == (9, 32, 4, 4)
    assert features.isfinite().all()
    torch.testing.assert_close(features, features[:1].expand(9, -1))
    with torch.no_grad():
        tokens = tiny.eval().backbone.encode(tiny.backbone.embed(ready[None]))
    torch.testing.assert_close(features[-1], tokens[0, 0])
    torch.testing.assert_close(maps[-1, :, 1, 2], tokens[0, 1 + 4 + 2])
    average = ccmim.extract_features(tiny, ready, pool='average')
    torch.testing.assert_close(average, tokens[:, 1:].mean(1))
    last = ccmim.extract_features(tiny, ready, block=tiny.backbone.depth - 1)
    torch.testing.assert_close(tiny.backbone.norm(last), features[:1])


def test_a_file_and_the_picture_in_it_have_the_same_features(tiny, tmp_path):
    """Turned by EXIF, of 16 bits, of floats, with a palette and transparency."""
    rng, exif = np.random.default_rng(0), Image.Exif()
    exif[274] = 6
    colors = rng.integers(0, 256, (80, 70, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (80, 70), dtype=np.uint16)
    clear = Image.fromarray(colors).quantize(16)
    Image.fromarray(colors).save(tmp_path / 'turned.jpg', exif=exif)
    Image.fromarray(deep).save(tmp_path / 'deep.png')
    Image.fromarray((deep / 65535).astype(np.float32)).save(tmp_path / 'float.tiff')
    clear.save(tmp_path / 'palette.png', transparency=3)
    for file in sorted(tmp_path.iterdir()):
        by_path = ccmim.extract_features(tiny, file)
        by_picture = ccmim.extract_features(tiny, Image.open(file))
        torch.testing.assert_close(by_picture, by_path, rtol=0, atol=0)


def test_embed_gives_names_in_order_whatever_the_type_of_the_network(
    tiny, image_folder
):
    (image_folder / 'cut.jpg').write_bytes(b'no photo')
    found = ccmim.embed(tiny, image_folder, batch_size=3)
    parts = [f'part{i}/{2 * j + i}.jpg' for i in range(2) for j in range(4)]
    assert found.names == [str(image_folder / name) for name in parts]
    assert list(found.left_out) == [str(image_folder / 'cut.jpg')]
    same = ccmim.extract_features(tiny, found.names)
    torch.testing.assert_close(found.features, same)
    half = ccmim.embed(tiny.bfloat16(), image_folder)
    assert half.features.dtype == torch.float32
    torch.testing.assert_close(half.features, same, atol=0.1, rtol=0.1)


def test_photos_are_normalized_as_the_weights_ask(tmp_path):
    vit = VisionTransformer('tiny', img_size=32, pos_embed='learned')
    pixels = Pixels((128,) * 3, (64,) * 3)
    weights = Weights(vit.state_dict(), architecture_of(vit), [], pixels)
    write_weights(weights, tmp_path / 'vit.safetensors', 'safetensors')
    again = ccmim.get_model(tmp_path / 'vit.safetensors')
    assert again.default_cfg['std'] == [0.25098] * 3
    white = np.full((32, 32, 3), 192, np.uint8)
    with torch.no_grad():
        tokens = vit.eval().encode(vit.embed(torch.ones(1, 3, 32, 32)))
    found = ccmim.embed(tmp_path / 'vit.safetensors', _saved(white, tmp_path))
    torch.testing.assert_close(found.features, tokens[:, 0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('registers', [0, 2])
def test_names_of_timm_give_what_timm_gives(registers):
    sizes = dict(embed_dim=32, depth=3, num_heads=2)
    theirs = timm.models.VisionTransformer(
        32, 8, num_classes=0, global_pool='', reg_tokens=registers, **sizes
    ).eval()
    ours = VisionTransformer(sizes, 32, 8, pos_embed='learned', reg_tokens=registers)
    state = theirs.state_dict()
    if registers:  # timm adds positions to registers too
        rows = state['pos_embed']
        state['reg_token'] = state['reg_token'] + rows[:, 1 : 1 + registers]
        state['pos_embed'] = torch.cat([rows[:, :1], rows[:, 1 + registers :]], 1)
    ours.load_state_dict(state)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = theirs.forward_features(images)
        torch.testing.assert_close(ours.eval().forward_features(images), wanted)
        for options in (
            dict(),
            dict(indices=1),
            dict(indices=3),
            dict(indices=[-3, -1], return_prefix_tokens=True, norm=True),
            dict(indices=[0, 1], output_fmt='NLC', stop_early=True),
        ):
            found, parts = (
                vit.forward_intermediates(images, **options) for vit in (ours, theirs)
            )
            torch.testing.assert_close(found, parts)
    assert ours.num_features == theirs.num_features == 32
    assert ours.num_prefix_tokens == theirs.num_prefix_tokens
    assert ours.feature_info == theirs.feature_info
    config = timm.data.resolve_model_data_config(ours)
    assert config['input_size'] == (3, 32, 32)
    assert config['mean'] == timm.data.IMAGENET_DEFAULT_MEAN
    assert (config['crop_pct'], ours.default_cfg['num_classes']) == (0.875, 0)
    ours.set_grad_checkpointing()
    assert ours.with_cp


def _saved(array, folder):
    Image.fromarray(array).save(folder / 'photo.png')
    return folder / 'photo.png'


def test_the_mode_of_the_model_is_kept(tiny):
    assert tiny.backbone.training
    ccmim.extract_features(tiny, np.zeros((64, 64, 3), np.uint8))
    assert tiny.backbone.training


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        ([], 'images is empty'),
        ('nowhere', 'No such folder'),
        (np.full((4, 4, 3), 7.0), 'float64'),
        (np.zeros((4, 4, 3), np.int64), 'int64'),
        (torch.zeros(4, 4, 3), 'give \\(3, H, W\\)'),
        (3, 'int is no image'),
    ],
)
def test_what_is_no_image_is_refused(tiny, images, message):
    with pytest.raises((ValueError, OSError), match=message):
        ccmim.extract_features(tiny, images)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match='did you mean ccmim_vitb'):
        ccmim.get_model('ccmim_vit-b')
    with pytest.raises(ValueError, match='mask_rcnn_vitb_lvis or mask_rcnn_vitb_coco'):
        ccmim.get_model('Mask_RCNN_ViTB')
    with pytest.raises(ValueError, match='did you mean model.mask_ratio'):
        ccmim.get_model('mae_vitt', mask_ration=0.5)
    with pytest.raises(FileNotFoundError, match='nowhere.py'):
        ccmim.get_model('nowhere.py')
    with pytest.raises(AttributeError):
        ccmim.nothing  # noqa: B018


def test_a_detector_takes_its_sizes_from_its_backbone():
    """As a run does, of what a config leaves out."""
    model = ccmim.get_model('mask_rcnn_toy')
    assert model.backbone.out_indices == (model.backbone.depth - 1,)


def test_commands_in_python_have_the_defaults_of_the_command_line(
    monkeypatch, tmp_path
):
    from ccmim.apps.cli import pretrain, transfer

    asked = []
    monkeypatch.setattr(pretrain, 'run', lambda args: asked.append(args) or 0)
    found = ccmim.pretrain(tmp_path / 'photos', epochs=3, cfg_options={'a.b': 1})
    args = asked.pop()
    assert (args.method, args.epochs, args.size) == ('mae', 3, None)
    assert (args.data, args.cfg_options) == ([str(tmp_path / 'photos')], ['a.b=1'])
    place = found.backbone.relative_to(found.backbone.parents[2])
    assert str(place) == 'work_dirs/photos_mae/backbone.safetensors'
    with pytest.raises(ValueError, match="'mea' is unknown"):
        ccmim.pretrain('photos', method='mea')

    scores = [Score('random', 'x', seed, 'k-NN', 10.0 * seed) for seed in (1, 2)]
    monkeypatch.setattr(
        transfer, 'transfer', lambda args: asked.append(args) or (tmp_path, scores)
    )
    import_module('ccmim.transfer.detection')  # the old name of a module

    given = ccmim.transfer('vit.pth', ['a', tmp_path], seeds=(1, 2), finetune=True)
    args = asked.pop()
    assert args.checkpoint == 'vit.pth'
    assert [*map(str, args.data)] == ['a', str(tmp_path)]
    assert (args.seeds, args.finetune, args.fractions) == ([1, 2], True, [1.0])
    assert given.scores == {('x', 'k-NN'): {'random': 15.0}}
