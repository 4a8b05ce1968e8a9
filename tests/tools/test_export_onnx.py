"""The exported graph gives the backbone's features, and the check would see others."""

import sys
from functools import partial

import pytest
import torch

from ccmim.checkpoints import Weights, architecture_of, read_weights
from ccmim.checkpoints.normalization import Pixels
from ccmim.export import onnx


@pytest.fixture
def checkpoint(tiny_vit, tmp_path):
    """A network with every part, at 64 px."""
    vit = tiny_vit(pos_embed='learned', rel_pos_bias=True, layer_scale_init=0.5)
    for block in vit.blocks:
        torch.nn.init.normal_(block.attn.relative_position_bias_table)
    torch.save(vit.state_dict(), tmp_path / 'in.pth')
    return tmp_path / 'in.pth'


@pytest.fixture
def export(run_tool):
    """Run the command in this process; gives exit code, output and errors."""
    return partial(run_tool, 'export_onnx.py')


@pytest.fixture
def libraries():
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name)


def test_features_are_those_of_the_backbone_in_batches_of_any(
    libraries, export, checkpoint, tmp_path
):
    import onnxruntime

    out = tmp_path / 'out.onnx'
    code, text, _ = export(checkpoint, out, '--size', 96, 64, '--check', '--normalized')
    assert code == 0, text
    assert 'images (batch, 3, 96, 64) -> class_token, feature_map' in text
    assert float(text.split('onnxruntime: ')[1].split()[0]) < 1e-4
    assert sorted(p.name for p in tmp_path.iterdir()) == ['in.pth', 'out.onnx']

    from ccmim.vit import VisionTransformer

    weights = read_weights(checkpoint)
    vit = VisionTransformer(**weights.architecture.options() | {'img_size': (96, 64)})
    vit.load_state_dict(weights.state)
    session = onnxruntime.InferenceSession(out)
    for batch in (1, 5):
        images = torch.randn(batch, 3, 96, 64)
        token, maps = session.run(None, {'images': images.numpy()})
        with torch.no_grad():
            expected = vit.eval().encode(vit.embed(images))
            map_ = vit(images)[0]
        assert (torch.from_numpy(token) - expected[:, 0]).abs().max() < 1e-4
        assert maps.shape == (batch, 32, 6, 4)
        assert (torch.from_numpy(maps) - map_).abs().max() < 1e-4


@pytest.mark.parametrize('half', [False, True])
def test_photos_of_any_size_are_normalized_inside(libraries, tiny_vit, tmp_path, half):
    import onnxruntime

    vit = tiny_vit(pos_embed='learned').eval()
    torch.nn.init.normal_(vit.pos_embed)
    pixels = Pixels((128.0,) * 3, (64.0,) * 3)
    weights = Weights(vit.state_dict(), architecture_of(vit), [], pixels)
    features = onnx.Features(weights, half=half)
    onnx.export_onnx(features, tmp_path / 'out.onnx')
    assert onnx.compare_with_onnx(features, tmp_path / 'out.onnx') < (half or 1e-4) / 20
    session = onnxruntime.InferenceSession(tmp_path / 'out.onnx')
    said = session.get_modelmeta().custom_metadata_map
    assert said['ccmim.images'].startswith('RGB in 0..255, float32, sides of multiples')
    assert said['ccmim.std'] == '(64.0, 64.0, 64.0)'
    assert said['ccmim.dtype'] == ('float16' if half else 'float32')
    for shape in ((1, 3, 64, 64), (3, 3, 32, 112)):
        photos = torch.randint(0, 256, shape).float()
        token, maps = session.run(None, {'images': photos.numpy()})
        images = (photos - 128) / 64
        with torch.no_grad():
            expected = vit.encode(vit.embed(images))
        atol = 0.05 if half else 1e-4
        found = torch.from_numpy(token)
        torch.testing.assert_close(found, expected[:, 0], atol=atol, rtol=0)
        assert maps.shape == (shape[0], 32, shape[2] // 16, shape[3] // 16)
    features.vit.norm.bias.data += 0.01  # the control: other weights are seen
    difference = onnx.compare_with_onnx(features, tmp_path / 'out.onnx')
    assert difference == pytest.approx(0.01, abs=0.005 if half else 1e-4)


@pytest.mark.parametrize('window', [0, 2])
def test_programs_of_pytorch_take_any_batch(tiny_vit, images, window):
    vit = tiny_vit(window_size=window, global_blocks=[1] if window else ()).eval()
    more = torch.cat([images, images[:1].flip(3)])
    with torch.no_grad():
        expected = vit(more)[0]
        traced = torch.jit.trace(vit, images[:2], check_trace=False)
        torch.testing.assert_close(traced(more)[0], expected)
        dynamic = ({0: torch.export.Dim('batch', max=64)},)
        program = torch.export.export(vit, (images[:2],), dynamic_shapes=dynamic)
        torch.testing.assert_close(program.module()(more)[0], expected)


def test_images_of_another_shape_with_as_many_patches(tiny_vit, tmp_path, images):
    """Learned positions of 4 x 4 patches are resampled to 2 x 8, as in a forward."""
    vit = tiny_vit(pos_embed='learned').eval()
    torch.nn.init.normal_(vit.pos_embed)
    torch.save(vit.state_dict(), tmp_path / 'in.pth')
    weights = read_weights(tmp_path / 'in.pth', num_heads=2)
    features = onnx.Features(weights, (32, 128), normalize=False)
    images = images.reshape(4, 3, 32, 128)
    with torch.no_grad():
        expected = vit.encode(vit.embed(images))
        token, maps = features(images)
    torch.testing.assert_close(token, expected[:, 0])
    torch.testing.assert_close(maps.flatten(2).mT, expected[:, 1:])


def test_the_size_of_its_training_is_asked_for_where_the_file_does_not_tell(
    export, tiny_vit, tmp_path, monkeypatch
):
    vit = tiny_vit(pos_embed='learned', img_size=(32, 96))
    torch.nn.init.normal_(vit.pos_embed)
    torch.save(dict(vit.state_dict()), tmp_path / 'in.pth')
    monkeypatch.setattr('ccmim.export.export_onnx', lambda *_: 1000)
    monkeypatch.setattr('ccmim.export.compare_with_onnx', lambda *_: 0.0)
    arguments = tmp_path / 'in.pth', tmp_path / 'out.onnx', '--num-heads', 2, '--check'
    code, _, errors = export(*arguments)
    assert code == 2
    assert 'leave open whether its images had 64 x 48 or 48 x 64 or' in errors
    code, text, _ = export(*arguments, '--img-size', 32, 96)
    assert code == 0
    assert 'images (batch, 3, height, width) -> class_token' in text


@pytest.mark.parametrize(('difference', 'code'), [(9e-5, 0), (2e-4, 1)])
def test_a_difference_above_the_tolerance_ends_with_code_1(
    export, checkpoint, tmp_path, monkeypatch, difference, code
):
    monkeypatch.setattr('ccmim.export.export_onnx', lambda *_: 1000)
    monkeypatch.setattr('ccmim.export.compare_with_onnx', lambda *_: difference)
    ended, text, _ = export(checkpoint, tmp_path / 'other.onnx', '--check')
    assert ended == code
    assert f'onnxruntime: {difference:.1e} ' in text
    assert ('ABOVE 1e-04' in text) == bool(code)


@pytest.mark.parametrize('missing', ['onnx', 'onnxscript'])
def test_missing_libraries_are_named(
    export, checkpoint, tmp_path, monkeypatch, missing
):
    monkeypatch.setitem(sys.modules, 'onnx', torch)  # so that only one is missing
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, errors = export(checkpoint, tmp_path / 'out.onnx')
    assert code == 2
    last = errors.splitlines()[-1]
    assert f'{missing} is not installed' in last
    assert 'pip install onnx onnxscript onnxruntime' in last
    assert not (tmp_path / 'out.onnx').exists()


def test_weights_too_large_for_one_file_are_refused(
    libraries, export, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr('ccmim.export.onnx.LIMIT', 1000)
    code, _, errors = export(checkpoint, tmp_path / 'out.onnx')
    assert code == 2
    assert 'GB of weights: an ONNX file holds' in errors.splitlines()[-1]
