"""A checkpoint in shards is whole when it is read, or it is refused."""

import pickle
import resource
import shutil

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard

from ccmim.checkpoints import choose_resume, load_file, read_weights, verify_checkpoint
from ccmim.checkpoints.shards import (
    KEY,
    files_of,
    folder_of,
    is_stand_in,
    rows_of,
    stand_in,
)
from ccmim.engine.sharded_state import write_shards
from ccmim.files import WriteError
from tests.checkpoints.conftest import HUB, flip

WHOLE = {
    'state_dict/weight': torch.randn(5, 300),
    'optimizer/state/0/exp_avg': torch.randn(5, 300),
    'state_dict/bias': torch.randn(1),  # the second process has no row
}


def _save(folder, step, count=2):
    """Write a checkpoint as several processes do."""
    weight, moment, bias = (stand_in(value) for value in WHOLE.values())
    told = dict(id=f'{step}', count=count, tensors=3)
    content = dict(
        state_dict=dict(weight=weight, bias=bias, count=torch.tensor(7)),
        optimizer=dict(state={0: dict(exp_avg=moment)}, param_groups=[]),
        message_hub=HUB,
        meta={'iter': step, 'epoch': 0, KEY: told},
    )
    file = folder / f'iter_{step}.pth'
    folder_of(file).mkdir(parents=True)
    torch.save(content, file)
    for rank in range(count):
        rows = {name: _rows(value, rank, count) for name, value in WHOLE.items()}
        name = folder_of(file) / f'0000{rank + 1}-of-0000{count}.pth'
        torch.save(dict(id=f'{step}', tensors=rows), name)
    (folder / 'last_checkpoint').write_text(str(file))
    return file


def _rows(value, rank, count):
    cut = value.chunk(count)
    return cut[rank].clone() if rank < len(cut) else value[:0]


@pytest.mark.parametrize('shape', [(), (1,), (2, 3)])
def test_a_stand_in_is_told_from_a_tensor(shape):
    value = torch.ones(shape)
    assert not is_stand_in(value)
    assert is_stand_in(stand_in(value)) == bool(shape)  # numbers are not spread
    assert stand_in(value).shape == shape


def test_shards_make_up_whole_tensors(tmp_path):
    file = _save(tmp_path, 3)
    content = load_file(file)
    assert content['state_dict']['weight'].equal(WHOLE['state_dict/weight'])
    assert content['state_dict']['bias'].equal(WHOLE['state_dict/bias'])
    assert content['state_dict']['count'] == 7
    moment = content['optimizer']['state'][0]['exp_avg']
    assert moment.equal(WHOLE['optimizer/state/0/exp_avg'])
    verify_checkpoint(file)
    assert torch.load(file)['state_dict']['weight'].isnan().all()  # other readers see


def test_moments_are_spread_over_a_mesh_again(tmp_path):
    dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh('cpu', (1,))
        content = load_file(_save(tmp_path, 3, 1), mesh=mesh)
        moment = content['optimizer']['state'][0]['exp_avg']
        assert moment.placements == (Shard(0),)
        assert moment.full_tensor().equal(WHOLE['optimizer/state/0/exp_avg'])
        assert content['state_dict']['weight'].equal(WHOLE['state_dict/weight'])
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize('saved', [1, 2, 3, 7])
@pytest.mark.parametrize('count', [1, 2, 4, 7])
def test_each_of_another_number_of_processes_gets_its_rows(saved, count):
    whole = torch.arange(10.0).reshape(5, 2)
    rows = [_rows(whole, rank, saved) for rank in range(saved)]
    for rank in range(count):
        assert rows_of(rows, rank, count).equal(_rows(whole, rank, count))


class Malicious:
    def __reduce__(self):
        return exec, ('ran = True',)


def _shard(content):
    def damage(shard):
        torch.save(content(torch.load(shard)), shard)

    return damage


def _forge(shard):
    """A shard of as many rows as one likes, none of which has values of its own."""
    shard['tensors']['state_dict/weight'] = torch.zeros(()).expand(2, 300)
    return shard


def test_a_number_has_no_rows(tmp_path):
    content = torch.load(file := _save(tmp_path, 3, count=1))
    content['state_dict']['weight'] = torch.tensor(1.0)
    torch.save(content, file)
    shard = torch.load(rows := files_of(file)[1])
    shard['tensors']['state_dict/weight'] = torch.tensor(1.0)
    torch.save(shard, rows)
    with pytest.raises(ValueError, match='is damaged .the rows of state_dict/weight'):
        load_file(file)


DAMAGES = {
    'gone': (lambda shard: shard.unlink(), '00002-of-00002.pth is missing. Copy the'),
    'all gone': (lambda shard: shutil.rmtree(shard.parent), '00001-.* is missing.'),
    'cut': (lambda s: s.write_bytes(s.read_bytes()[:-9]), '00002.* is damaged'),
    'flipped': (flip, '00002-of-00002.pth is damaged .bad CRC'),
    'other': (_shard(lambda s: s | dict(id='1')), 'is of another checkpoint than'),
    'empty': (_shard(lambda s: s | dict(tensors={})), 'is of another checkpoint than'),
    'text': (_shard(lambda s: s | dict(tensors='rows')), 'is no shard'),
    'forged': (_shard(_forge), 'is damaged .the rows of state_dict/weight'),
    'code': (lambda s: s.write_bytes(pickle.dumps(Malicious(), 2)), 'damaged|refused'),
    'code in it': (_shard(lambda s: s | dict(id=Malicious())), 'code .*; refused'),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_a_damaged_shard_is_named_and_the_former_checkpoint_taken(tmp_path, name):
    former, file = _save(tmp_path, 2), _save(tmp_path, 3)
    damage, message = DAMAGES[name]
    damage(files_of(file)[2])
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        verify_checkpoint(file)
    assert '\n' not in str(error.value)
    assert choose_resume(tmp_path) == str(former)
    assert (tmp_path / 'last_checkpoint').read_text() == str(former)


def test_the_folder_and_a_shard_lead_to_the_checkpoint(tmp_path):
    file = _save(tmp_path, 3)
    with pytest.raises(ValueError, match=r'is a shard of a checkpoint: give .*3\.pth'):
        load_file(files_of(file)[1])
    with pytest.raises(ValueError, match='no known layout: its keys are weight, bias'):
        read_weights(folder_of(file))
    files_of(file)[2].unlink()
    with pytest.raises(ValueError, match=r'00002-of-00002\.pth is missing'):
        read_weights(file)


def test_a_save_is_complete_or_not_there(tmp_path):
    """The folder has its name only then; a full disk leaves the former one."""
    former, file = _save(tmp_path, 2), tmp_path / 'iter_3.pth'
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(WriteError, match='cannot write .*00001-of-00001.pth: File'):
            write_shards(file, 'a', {'state_dict/weight': torch.zeros(100, 100)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not folder_of(file).exists()
    write_shards(file, 'a', WHOLE)  # killed before the main file is written
    assert choose_resume(tmp_path) == str(former)
    write_shards(file, 'b', WHOLE)
    assert torch.load(folder_of(file) / '00001-of-00001.pth')['id'] == 'b'
