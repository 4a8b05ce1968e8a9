"""Reading a checkpoint runs no code that it holds, and damage is named."""

import contextlib
import importlib.util
import io
import os

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner import Runner, checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from ccmim.checkpoints import choose_resume, guard_mmengine, load_file


class _Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


# Each would make a file if it ran.
FORGED = {
    'a command': lambda file: _Payload(os.system, f'touch {file}'),
    'an expression': lambda file: _Payload(eval, f'open({str(file)!r}, "w").close()'),
    'a program': lambda file: _Payload(exec, f'open({str(file)!r}, "w").close()'),
    'in the weights': lambda file: dict(
        weight=torch.ones(1), bias=_Payload(os.system, f'touch {file}')
    ),
    'in a storage': lambda file: _Payload(
        torch.storage._load_from_bytes,
        _saved(dict(weight=_Payload(os.system, f'touch {file}'))),
    ),
    'another method': lambda file: _Payload(getattr, HistoryBuffer, '__init__'),
    'what a method knows': lambda file: _Payload(
        getattr, _Payload(getattr, HistoryBuffer, 'mean'), '__globals__'
    ),
}


@pytest.fixture
def forged(tmp_path):
    """Write a file that holds code; it, and what the code would make."""

    def forge(kind, **changes):
        marker = tmp_path / 'marker'
        content = dict(
            state_dict=dict(weight=torch.ones(1)),
            optimizer={},
            message_hub={},
            meta=dict(iter=1, epoch=1),
            extra=FORGED[kind](marker),
        )
        torch.save({**content, **changes}, tmp_path / 'bad.pth')
        return tmp_path / 'bad.pth', marker

    return forge


REFUSED = 'holds code.*CCMIM_TRUST_CHECKPOINT=1 only if you made the file yourself'


@pytest.mark.parametrize('kind', FORGED)
def test_code_is_refused(forged, kind):
    file, marker = forged(kind)
    with pytest.raises(ValueError, match=REFUSED):
        load_file(file)
    assert not marker.exists()


@pytest.mark.parametrize('kind', ['a command', 'an expression', 'in a storage'])
def test_torch_runs_it(forged, kind):
    """The control: what is refused here works elsewhere."""
    file, marker = forged(kind)
    torch.load(file, weights_only=False)
    assert marker.exists()


@pytest.fixture
def alone(monkeypatch):
    """mmengine as it is by itself, whatever guards were set before."""
    spec = importlib.util.find_spec(checkpoint.__name__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    for name in ('_safe_torch_load', 'load_url'):
        monkeypatch.setattr(checkpoint, name, getattr(fresh, name))
    schemes = dict(CheckpointLoader._schemes)
    CheckpointLoader.register_scheme('', checkpoint.load_from_local, force=True)
    yield
    CheckpointLoader._schemes = schemes


@pytest.fixture
def guarded(alone):
    """mmengine with the guard."""
    guard_mmengine()


class Line(BaseModule):
    """One weight."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def train_step(self, data, optim_wrapper):
        return {}


def _runner(folder, **options):
    return Runner(
        Line(),
        str(folder / 'run'),
        train_dataloader=dict(
            dataset=[1.0], batch_size=1, sampler=dict(type='DefaultSampler')
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        experiment_name=os.urandom(4).hex(),
        **options,
    )


WAYS = {
    'load_from': lambda file, folder: _runner(folder, load_from=str(file)).train(),
    'resume': lambda file, folder: _runner(
        folder, load_from=str(file), resume=True
    ).train(),
    'choose_resume': lambda file, folder: choose_resume(folder, file),
    'init_cfg': lambda file, folder: Line(
        dict(type='Pretrained', checkpoint=str(file))
    ).init_weights(),
    'test': lambda file, folder: _runner(folder).load_checkpoint(str(file)),
    'address': lambda file, folder: CheckpointLoader.load_checkpoint(file.as_uri()),
    'model zoo': lambda file, folder: CheckpointLoader.load_checkpoint(
        'torchvision://forged'
    ),
}


@pytest.fixture
def local_addresses(alone, monkeypatch, tmp_path):
    """Let mmengine take addresses of files for those of the web."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    CheckpointLoader.register_scheme('file://', checkpoint.load_from_http)
    address = (tmp_path / 'bad.pth').as_uri()
    monkeypatch.setattr(
        checkpoint, 'get_torchvision_models', lambda: dict(forged=address)
    )


@pytest.mark.parametrize('way', WAYS)
def test_no_way_into_mmengine_runs_code(
    guarded, forged, local_addresses, tmp_path, way
):
    """Also where its own loader would fall back to unrestricted unpickling."""
    file, marker = forged('a command')
    with pytest.raises(ValueError, match=REFUSED):
        WAYS[way](file, tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize('way', ['load_from', 'address', 'model zoo'])
def test_mmengine_alone_does(forged, local_addresses, tmp_path, way):
    """The control: without the guard the same ways run it."""
    file, marker = forged('a command')
    with contextlib.suppress(Exception):
        WAYS[way](file, tmp_path)
    assert marker.exists()


@pytest.mark.parametrize('guard', [True, False])
def test_texts_of_configs_are_dropped(request, tmp_path, guard):
    """The control: on resume mmengine executes one as Python."""
    request.getfixturevalue('guarded' if guard else 'alone')
    file, marker = tmp_path / 'clean.pth', tmp_path / 'marker'
    code = f'open({str(marker)!r}, "w").close()'
    meta = dict(config=code, cfg=code, iter=1, epoch=1)
    state = dict(weight=torch.ones(1))
    torch.save(dict(state_dict=state, optimizer={}, message_hub={}, meta=meta), file)
    with contextlib.suppress(Exception):  # there is no history to go on with
        WAYS['resume'](file, tmp_path)
    assert marker.exists() != guard
    assert load_file(file)['meta'] == dict(iter=1, epoch=1, config_text=code)


def test_trust_by_name(tmp_path, monkeypatch):
    marker = tmp_path / 'marker'
    torch.save(dict(extra=_Payload(os.system, f'touch {marker}')), tmp_path / 'own.pth')
    monkeypatch.setenv('CCMIM_TRUST_CHECKPOINT', '1')
    load_file(tmp_path / 'own.pth')
    assert marker.exists()


def test_what_a_runner_writes_is_read(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    written = dict(
        state_dict=dict(weight=torch.ones(2)),
        message_hub=dict(log=history, last=np.float64(3.5)),
        meta=dict(epoch=2),
    )
    torch.save(written, tmp_path / 'epoch_2.pth')
    read = load_file(tmp_path / 'epoch_2.pth')
    assert read['message_hub']['log'].mean() == 1.5
    assert read['message_hub']['last'] == 3.5
    assert read['meta'] == dict(epoch=2)


def test_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file(dict(weight=torch.arange(3.0)), tmp_path / 'a.safetensors')
    assert load_file(tmp_path / 'a.safetensors')['weight'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('keep', [0, 10, 500])
def test_damage_is_named(tmp_path, keep):
    file = tmp_path / 'cut.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(1000))), file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r'cut.pth (is damaged|holds code or is no)'):
        load_file(file)


@pytest.mark.parametrize('text', ['import torch', 'a list of photos', '{"a": 1}', 'i'])
def test_a_text_is_no_checkpoint(tmp_path, text):
    (tmp_path / 'notes.pth').write_text(text)
    with pytest.raises(ValueError, match=r'notes.pth (is damaged|holds code or is no)'):
        load_file(tmp_path / 'notes.pth')


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth does not exist'):
        load_file(tmp_path / 'none.pth')
