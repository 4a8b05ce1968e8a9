"""Reading a checkpoint runs no code that it holds, and damage is named."""

import builtins
import os

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from ccmim.checkpoints import guard_mmengine, load_file


class _Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('call', ['system', 'getattr'])
def test_code_is_refused(tmp_path, call):
    marker = tmp_path / 'marker'
    payload = (
        _Payload(os.system, f'touch {marker}')
        if call == 'system'
        else _Payload(builtins.getattr, HistoryBuffer, '__init__')
    )
    torch.save(dict(state_dict={}, extra=payload), tmp_path / 'bad.pth')
    with pytest.raises(ValueError, match='holds code.*CCMIM_TRUST_CHECKPOINT=1'):
        load_file(tmp_path / 'bad.pth')
    assert not marker.exists()


def test_mmengine_reads_through_the_guard(tmp_path):
    """Also where its own loader would fall back to unrestricted unpickling."""
    marker = tmp_path / 'marker'
    torch.save(dict(extra=_Payload(os.system, f'touch {marker}')), tmp_path / 'bad.pth')
    guard_mmengine()
    with pytest.raises(ValueError, match='holds code'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bad.pth'), 'cpu')
    assert not marker.exists()


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


def test_config_text_is_dropped(tmp_path):
    """mmengine would execute it as Python on resume."""
    torch.save(dict(meta=dict(config='x = 1', iter=3)), tmp_path / 'a.pth')
    assert load_file(tmp_path / 'a.pth')['meta'] == dict(iter=3)


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


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth does not exist'):
        load_file(tmp_path / 'none.pth')
