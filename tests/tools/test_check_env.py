"""Every wrong situation is seen by check_env.py, and named with its remedy."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from ccmim.operators import InstallError

ROOT = Path(__file__).parents[2]


def load(path: str):
    """A script of the checkout as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_env = load('tools/check_env.py')


def right_nms(boxes, scores, iou_threshold):
    """Greedy suppression as the textbook has it."""
    order, kept = scores.argsort(descending=True).tolist(), []
    for i in order:
        overlaps = []
        for j in kept:
            low = torch.maximum(boxes[i, :2], boxes[j, :2])
            high = torch.minimum(boxes[i, 2:], boxes[j, 2:])
            both = (high - low).clamp(min=0).prod()
            areas = [(boxes[k, 2:] - boxes[k, :2]).prod() for k in (i, j)]
            overlaps.append(both / (sum(areas) - both))
        if all(overlap <= iou_threshold for overlap in overlaps):
            kept.append(i)
    return boxes[kept], torch.tensor(kept)


def right_roi_align(image, roi, size, *_):
    return torch.nn.functional.avg_pool2d(image, size)


@pytest.mark.parametrize(
    ('version', 'level'),
    [((3, 9), 'wrong'), ((3, 10), 'ok'), ((3, 13), 'ok'), ((3, 14), 'wrong')],
)
def test_only_python_3_10_to_3_13_is_supported(version, level):
    finding = check_env.check_python(version)
    assert finding.level == level
    assert ('3.13' in finding.remedy) == (level == 'wrong')


@pytest.mark.parametrize(
    ('installed', 'level', 'text'),
    [
        ({'onedl-mmcv': '2.3.6'}, 'ok', '2.3.6'),
        ({'onedl-mmcv': '2.3.6+local'}, 'ok', '2.3.6+local'),
        ({'onedl-mmcv': '2.3.9'}, 'note', 'tested: 2.3.6'),
        ({'onedl-mmcv': '2.4.0'}, 'wrong', '2.4.0 is not >=2.3.6,<2.4'),
        ({'mmcv': '2.1.0'}, 'note', 'mmcv 2.1.0 instead of onedl-mmcv 2.3.6'),
        ({'mmcv-lite': '2.1.0'}, 'note', 'mmcv-lite 2.1.0 instead of onedl-mmcv 2.3.6'),
        ({}, 'wrong', 'missing'),
    ],
)
def test_versions_are_held_against_the_tested_one_and_the_bounds(
    installed, level, text
):
    known = ('onedl-mmcv', '2.3.6', '>=2.3.6,<2.4')
    finding = check_env.check_version(*known, installed.get)
    assert finding.level == level
    assert text in finding.text
    assert finding.remedy == ('run: bash tools/install.sh' if level == 'wrong' else '')


def test_unmet_lists_the_pins_that_are_missing_or_out_of_bounds():
    pins = {'torch': '2.11.0', 'numpy': '2.2.6', 'timm': '1.0.31', 'scipy': '1.17.1'}
    bounds = {'torch': '>=2.4', 'numpy': '>=1.26', 'timm': '>=1.0.15'}
    installed = {'torch': '2.9.1+cu128', 'numpy': '1.24.0', 'scipy': '1.17.1'}
    other = ['numpy==2.2.6', 'timm==1.0.31']
    for torchvision in (None, '0.26.0'):
        # Neither fits this torch, which stays.
        installed['torchvision'] = torchvision
        wanted = [*other, 'torchvision==0.24.*']
        assert check_env.unmet(pins, bounds, installed.get) == wanted
    installed['torchvision'] = '0.24.1+cu128'
    assert check_env.unmet(pins, bounds, installed.get) == other


@pytest.mark.parametrize(
    ('error', 'remedy'),
    [
        (ImportError('libGL.so.1: cannot open shared object file'), 'libgl1'),
        (ImportError('libgthread-2.0.so.0: cannot open'), 'libglib2.0-0'),
        (ModuleNotFoundError("No module named 'cv2'"), 'tools/install.sh'),
        (
            InstallError('torchvision 0.20 does not fit torch 2.9: pip install x'),
            'pip install x',
        ),
    ],
)
def test_an_import_that_fails_names_the_package_that_mends_it(error, remedy):
    def fail(_):
        raise error

    finding = check_env.check_import('cv2', fail)
    assert finding.level == 'wrong'
    assert finding.text == str(error).partition(': pip')[0]
    assert remedy in finding.remedy


def test_right_ops_pass_and_wrong_ones_do_not():
    assert check_env.check_nms(right_nms, 'cpu').level == 'ok'
    assert check_env.check_roi_align(right_roi_align, 'cpu').level == 'ok'

    def keeps_all(boxes, scores, iou_threshold):
        return boxes, scores.argsort(descending=True)

    def max_roi_align(image, roi, size, *_):
        return torch.nn.functional.max_pool2d(image, size)

    assert 'kept [1, 0, 2]' in check_env.check_nms(keeps_all, 'cpu').text
    assert 'gave [5.0, 7.0' in check_env.check_roi_align(max_roi_align, 'cpu').text


def test_ops_without_a_kernel_are_wrong_on_the_cpu_and_a_note_on_the_gpu():
    def missing(*args, **kwargs):
        raise RuntimeError('implementation for device was not found.\nat line 1')

    on_cpu = check_env.check_nms(missing, 'cpu')
    assert on_cpu.level == 'wrong'
    assert on_cpu.text == 'implementation for device was not found.'
    # 'meta' stands for a device whose tensors are elsewhere.
    on_gpu = check_env.check_roi_align(missing, 'meta')
    assert on_gpu.level == 'note'
    assert 'CCMIM_OPS=torchvision' in on_gpu.remedy


def test_pins_are_read_with_their_markers(tmp_path):
    file = tmp_path / 'pins.txt'
    file.write_text(
        '# a comment\nscipy==9.1; python_version >= "3.0"  # why\n'
        'scipy==1.1; python_version < "3.0"\n\nrich==15.0.0\n'
    )
    assert check_env.read_pins([file]) == {'scipy': '9.1', 'rich': '15.0.0'}


def test_every_bound_has_a_pin_inside_it():
    from packaging.specifiers import SpecifierSet

    files = sorted((ROOT / 'requirements').glob('*.txt'))
    pins, bounds = check_env.read_pins(files), check_env.read_bounds()
    assert {'torch', 'onedl-mmcv', 'pytest'} <= set(bounds)
    assert set(bounds) <= set(pins)
    outside = [name for name in bounds if pins[name] not in SpecifierSet(bounds[name])]
    assert outside == []


def test_the_report_shows_the_versions_and_fails_when_something_is_wrong(monkeypatch):
    pins = {'torch': '0.0.1', 'rich': '0.0.1', 'no-such-thing': '1.0'}
    monkeypatch.setattr(check_env, 'MODULES', ('torch', 'no_such_module'))
    monkeypatch.setattr(check_env, 'check_torch', list)
    levels = {f.subject: f.level for f in check_env.look(pins, {})}
    assert levels == {
        'python': 'ok',
        'torch': 'note',
        'rich': 'note',
        'no-such-thing': 'wrong',
        'import no_such_module': 'wrong',
    }
    for wrong in (True, False):
        found = [check_env.Finding('wrong' if wrong else 'note', 'torch', 'is so')]
        monkeypatch.setattr(check_env, 'look', lambda *_, found=found: found)
        monkeypatch.setattr(sys, 'argv', ['check_env.py'])
        assert check_env.main() == wrong


def test_mmcv_has_ops_that_are_right(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['check_env.py', '--ops', 'cpu'])
    assert check_env.main() == 0
    assert capsys.readouterr().out.count('right') == 2
