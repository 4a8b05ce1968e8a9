"""What of a transfer is done is known by what it was done with; GPUs by their names."""

import os
import shutil

import pytest
import torch

from ccmim.apps.cli import transfer
from ccmim.vit import VisionTransformer


@pytest.fixture
def checkpoint(tmp_path):
    vit = VisionTransformer('tiny', img_size=32, patch_size=16)
    state = {f'backbone.{name}': value for name, value in vit.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'last.pth')
    return tmp_path / 'last.pth'


@pytest.fixture
def stage(ccmim, checkpoint, class_folders, monkeypatch):
    """Make a function that gives the only stage of a command."""
    planned = []
    monkeypatch.setattr(
        transfer, 'run_stages', lambda chains, *_: planned.extend(chains)
    )

    def stage(*words, data=class_folders):
        code, _, error = ccmim('transfer', checkpoint, '--data', data, *words)
        assert code == 0, error
        ((only,),) = planned
        planned.clear()
        return only

    return stage


def _do(stage):
    stage.begin()
    stage.result.write_text('{}')
    stage.finish()


def test_a_probe_is_done_once_for_the_same_weights_and_data(stage):
    first = stage()
    _do(first)
    assert stage().is_done


@pytest.mark.parametrize('change', ['weights', 'data', 'classes', 'fast'])
def test_a_probe_of_something_else_is_another_one(
    stage, checkpoint, class_folders, tmp_path, change
):
    """Of the same name, in the same folder."""
    out, data, words = ['--out', tmp_path / 'out'], class_folders, []
    first = stage(*out)
    _do(first)
    if change == 'weights':
        os.utime(checkpoint, (1, 1))
    elif change == 'data':
        data = tmp_path / 'elsewhere' / class_folders.name
        shutil.copytree(class_folders, data)
    elif change == 'classes':
        (class_folders / 'dog').rename(class_folders / 'wolf')
    else:
        words = ['--fast']
    again = stage(*out, *words, data=data)
    assert again.result == first.result
    assert not again.is_done


def test_a_fast_one_has_a_folder_of_its_own(stage, checkpoint):
    folders = [stage(*words).result.parents[2] for words in ([], ['--fast'])]
    assert [folder.name for folder in folders] == [
        'last_transfer',
        'last_transfer_fast',
    ]


@pytest.mark.parametrize(
    ('given', 'jobs', 'expected'),
    [
        (None, None, ['0', '1']),
        ('2,3', None, ['2', '3']),
        ('2,3', 3, ['2', '3', '2']),
        ('GPU-8f,GPU-1a', 1, ['GPU-8f']),
    ],
)
def test_stages_share_the_gpus_that_the_command_was_given(
    monkeypatch, given, jobs, expected
):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if given:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', given)
    slots = transfer._slots(jobs)
    assert [slot['CUDA_VISIBLE_DEVICES'] for slot in slots] == expected
