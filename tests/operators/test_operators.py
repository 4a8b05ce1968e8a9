"""torchvision's operators in mmcv: closed forms, and what compiled mmcv gave."""

import importlib
import importlib.util
import json
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmdet')

import ccmim.operators as operators
from ccmim.engine import config
from ccmim.operators import InstallError, from_torchvision

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / 'tests/golden'


def _load():
    file = GOLDEN / 'record_operators.py'
    spec = importlib.util.spec_from_file_location('record_operators', file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


record = _load()


@pytest.fixture(scope='module')
def recorded():
    return json.loads((GOLDEN / 'operators.json').read_text())


@pytest.fixture
def ours(monkeypatch):
    """Let mmcv call torchvision's operators, even where it has compiled ones."""
    for name in ('nms', 'roi_align'):
        module = importlib.import_module(f'mmcv.ops.{name}')
        monkeypatch.setattr(module, 'ext_module', from_torchvision)
    return importlib.import_module('mmcv.ops')


@pytest.mark.parametrize('case', range(len(record.ALIGN)))
def test_roi_align_and_its_gradient_are_those_of_compiled_mmcv(case, recorded, ours):
    pooled, gradient = record.align(*record.ALIGN[case])
    kind = dict(rtol=1e-10, atol=1e-11) if pooled.dtype == torch.float64 else {}
    for tensor, values in zip((pooled, gradient), recorded['align'][case], strict=True):
        expected = torch.tensor(values, dtype=tensor.dtype).view(tensor.shape)
        torch.testing.assert_close(tensor, expected, **kind)


def test_roi_align_of_a_ramp_is_its_height_at_the_center_of_each_bin(ours):
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing='ij')
    ramp = (3 * x + 0.5 * y + 1).expand(1, 2, 12, 12).double().requires_grad_()
    rois = torch.tensor([[0, 5.0, 6.0, 17.0, 14.0]], dtype=torch.float64)
    pooled = ours.roi_align(ramp, rois, (2, 3), 0.5, 0, 'avg', True)
    # On the map 2.5 to 8.5 by 3 to 7, and the center of pixel 0 lies at one half.
    at_x, at_y = torch.tensor([3.0, 5, 7]), torch.tensor([3.5, 5.5])
    expected = 3 * at_x + 0.5 * at_y[:, None] + 1
    torch.testing.assert_close(pooled, expected.double().expand(1, 2, 2, 3))
    # Each bin shares out one unit among its pixels.
    pooled.sum().backward()
    assert ramp.grad.sum(dim=(0, 2, 3)).tolist() == pytest.approx([6, 6])


@pytest.mark.parametrize('aligned', [True, False])
def test_the_gradient_of_roi_align_is_that_of_small_differences(aligned, ours):
    maps = record.wave((1, 2, 5, 6), 0).requires_grad_()
    rois = torch.tensor([[0, 1.3, 0.8, 17.9, 13.2]], dtype=torch.float64)
    torch.autograd.gradcheck(
        lambda x: ours.roi_align(x, rois, (2, 2), 0.25, 2, 'avg', aligned), maps
    )


def test_roi_align_takes_no_rois_and_maps_in_any_order_of_memory(ours):
    maps = record.wave((2, 3, 6, 5), 0).requires_grad_()
    none = ours.roi_align(maps, maps.new_zeros(0, 5), (2, 2), 0.25, 0, 'avg', True)
    none.sum().backward()
    assert none.shape == (0, 3, 2, 2)
    assert not maps.grad.any()
    rois = torch.tensor(record.ROIS, dtype=torch.float64)
    wanted = ours.roi_align(maps, rois, (2, 3), 0.25, 0, 'avg', True)
    last = maps.contiguous(memory_format=torch.channels_last)
    turned = maps.transpose(2, 3).contiguous().transpose(2, 3)
    for other in (last, turned):
        assert not other.is_contiguous()
        pooled = ours.roi_align(other, rois, (2, 3), 0.25, 0, 'avg', True)
        assert torch.equal(pooled, wanted)


def test_nms_keeps_what_compiled_mmcv_keeps(recorded, ours):
    assert [record.suppress(*case) for case in record.NMS] == recorded['nms']
    assert record.suppress_by_class() == recorded['batched_nms']


def test_of_equal_scores_nms_keeps_the_first(ours):
    # Forty boxes, each of which overlaps its neighbors alone, all of one score.
    left = 6.0 * torch.arange(40)
    boxes = torch.stack([left, 0 * left, left + 10, 0 * left + 10], dim=1)
    _, kept = ours.nms(boxes, torch.ones(40), 0.2)
    assert kept.tolist() == list(range(0, 40, 2))


@pytest.mark.parametrize(
    ('second', 'offset', 'kept'),
    [
        ([3.5, 0, 10, 1], 0, 2),  # 3 of 10 square pixels, which float32 rounds up
        ([3.4, 0, 9.9, 1], 0, 1),  # 3.1 of 9.9
        ([3.5, 0, 10, 1], 1, 1),  # 8 of 22
    ],
)
def test_nms_drops_what_overlaps_by_more_than_the_threshold(second, offset, kept, ours):
    boxes = torch.tensor([[0, 0, 6.5, 1], second])
    scores = torch.tensor([0.5, 0.4])
    assert len(ours.nms(boxes, scores, 0.3, offset)[1]) == kept
    # Scores of half precision, as autocast leaves them.
    assert len(ours.nms(boxes, scores.bfloat16(), 0.3, offset)[1]) == kept


@pytest.mark.parametrize('number', range(len(record.DETECTORS)))
def test_detectors_learn_and_find_the_same_as_with_compiled_mmcv(
    number, recorded, ours
):
    def compare(found, expected, tolerance=1e-5):
        if isinstance(expected, dict):
            assert found.keys() == expected.keys()
            found, expected = list(found.values()), list(expected.values())
        torch.testing.assert_close(
            torch.tensor(found), torch.tensor(expected), rtol=1e-5, atol=tolerance
        )

    found = record.detector(record.DETECTORS[number])
    expected = recorded['detectors'][number]
    compare(found['losses'], expected['losses'])
    compare(found['gradients'], expected['gradients'])
    for image in (0, 1):
        assert len(expected['scores'][image]) > 10
        # Corners are in pixels, which AVX2 alone rounds otherwise: a mask may have one
        # pixel more.
        for part, tolerance in dict(scores=1e-5, boxes=1e-4, mask_pixels=1).items():
            compare(found[part][image], expected[part][image], tolerance)


def test_any_other_operator_is_named_when_it_is_called():
    message = r"operator softnms is not in torchvision: build mmcv's own by bash tools"
    with pytest.raises(InstallError, match=message):
        from_torchvision.softnms(1, offset=0)
    names = ('input', 'rois', 'output', 'argmax_y', 'argmax_x', 'aligned_height')
    options = dict.fromkeys(names)
    options.update(aligned_width=2, spatial_scale=1.0, sampling_ratio=0, pool_mode=0)
    with pytest.raises(InstallError, match="pool_mode='max'"):
        from_torchvision.roi_align_forward(**options, aligned=True)
    assert not hasattr(from_torchvision, '__path__')


def test_the_variable_chooses_and_a_compiled_extension_goes_first(monkeypatch):
    compiled = PathFinder.find_spec('json')
    monkeypatch.delenv('CCMIM_OPS', raising=False)
    assert operators._choose(compiled) is compiled
    assert operators._choose(None).origin == from_torchvision.__file__
    monkeypatch.setenv('CCMIM_OPS', 'torchvision')
    assert operators._choose(compiled).origin == from_torchvision.__file__
    monkeypatch.setenv('CCMIM_OPS', 'mmcv')
    assert operators._choose(compiled) is compiled


def _run(script, *folders, **env):
    path = ':'.join([*map(str, folders), str(ROOT)])
    return subprocess.run(
        [sys.executable, '-c', script],
        env={'PYTHONPATH': path, 'PATH': '/usr/bin:/bin', **env},
        capture_output=True,
        text=True,
    )


NO_OPS = {'mmcv/__init__.py': ''}
OTHER_OPS = NO_OPS | {'mmcv/_ext.abi3.so': 'of another torch'}
NO_NMS = 'raise RuntimeError("operator torchvision::nms does not exist")'
BUILD = 'by bash tools/install.sh --compiled-ops'
FITS = 'pip install "torchvision==0.24.*"'


@pytest.mark.parametrize(
    ('files', 'env', 'line'),
    [
        (
            *(NO_OPS, {'CCMIM_OPS': 'cuda'}),
            'CCMIM_OPS=cuda is unknown: set it to torchvision or mmcv',
        ),
        (
            *(NO_OPS, {'CCMIM_OPS': 'mmcv'}),
            f'CCMIM_OPS=mmcv, but mmcv has no compiled operators: build them {BUILD}',
        ),
        (
            *(OTHER_OPS, {}),
            "mmcv's compiled operators do not fit this torch: set "
            f'CCMIM_OPS=torchvision, or build them again {BUILD}',
        ),
        (
            *({'torchvision/__init__.py': NO_NMS}, {}),
            f'torchvision 0.20.0 does not fit torch 2.9.1+cu128: {FITS}',
        ),
        ({}, {'gone': '1'}, f'torchvision is not installed: {FITS}'),
    ],
)
def test_what_is_wrong_with_an_installation_is_one_line(files, env, line, tmp_path):
    files = {
        'torch-2.9.1.dist-info/METADATA': 'Name: torch\nVersion: 2.9.1+cu128\n',
        'torchvision-0.20.0.dist-info/METADATA': 'Name: torchvision\nVersion: 0.20.0\n',
        **files,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    module = 'torchvision' if 'mmcv/__init__.py' not in files else 'mmcv._ext'
    script = f'import ccmim\nimport {module}'
    if env.pop('gone', None):
        script = (
            'import ccmim\nfrom importlib.machinery import PathFinder as P\n'
            'find = P.find_spec\nP.find_spec = lambda name, path=None, target=None: ('
            'None if name == "torchvision" else find(name, path))\nimport torchvision'
        )
    done = _run(script, tmp_path, **env)
    assert (done.returncode, done.stderr) == (1, f'error: {line}\n')
    assert 'Traceback' in _run(script, tmp_path, CCMIM_DEBUG='1', **env).stderr


@pytest.mark.slow
def test_a_script_that_imports_ccmim_first_gets_the_operators():
    """Of mmdet the front door is enough: its parts import them from mmcv."""
    script = (
        'import ccmim, sys\nassert "torch" not in sys.modules\n'
        'import mmdet, mmcv.ops\n'
        'print(mmcv.ops.nms.__module__, mmcv.ops.get_compiler_version())'
    )
    done = _run(script, CCMIM_OPS='torchvision')
    version = importlib.import_module('torchvision').__version__
    said = f'mmcv.ops.nms none, operators of torchvision {version}\n'
    assert done.stdout == said, done.stderr


@pytest.mark.slow
def test_an_optimizer_of_transformers_is_imported_when_it_is_asked_for():
    pytest.importorskip('transformers')
    text = """
import sys, ccmim, torch
from mmengine.registry import OPTIMIZERS
import mmengine.optim
print('transformers' in sys.modules)
options = dict(lr=1e-3, relative_step=False)
weights = [torch.nn.Parameter(torch.zeros(2))]
made = OPTIMIZERS.build(dict(type='Adafactor', params=weights, **options))
print(made.defaults['lr'])
"""
    run = subprocess.run([sys.executable, '-c', text], capture_output=True, text=True)
    said = run.stdout.split()
    assert (said[0], said[-1]) == ('False', '0.001'), run.stderr


def test_a_config_is_not_blamed_for_the_operators_that_it_imports(monkeypatch):
    def fail(_, **settings):
        raise InstallError('CCMIM_OPS=x is unknown: set it')

    monkeypatch.setattr(config.Config, 'fromfile', fail)
    with pytest.raises(ValueError, match='^CCMIM_OPS=x is unknown: set it$'):
        config.read_config(__file__)
