"""A run goes on from the newest good checkpoint, and never restarts in silence."""

import logging
import os
import shutil

import pytest
import torch

from ccmim.checkpoints.resume import choose_resume
from tests.checkpoints.conftest import HUB, flip
from tests.two_processes import in_two_processes


@pytest.fixture
def said(monkeypatch):
    """What is logged: pairs of a level and a text."""
    lines = []
    log = 'ccmim.checkpoints.resume.print_log'
    monkeypatch.setattr(log, lambda text, level, **_: lines.append((level, text)))
    return lines


def _save(path, squares=0.5, **changes):
    moments = dict(step=torch.ones(()), exp_avg=-torch.rand(5))
    moments['exp_avg_sq'] = torch.tensor([0.0, squares])
    state = dict(state_dict=dict(weight=torch.randn(50, 50)))
    state['optimizer'] = dict(state={0: moments}, param_groups=[dict(params=[0])])
    state['param_schedulers'] = [dict(last_step=-1, _global_step=0)]
    state |= dict(message_hub=HUB, meta=dict(iter=1, epoch=1))
    torch.save(state | changes, path)


@pytest.fixture
def run(tmp_path):
    """A folder as three epochs leave it."""
    folder = tmp_path / 'run'
    folder.mkdir()
    for epoch in (1, 2, 3):
        _save(folder / f'epoch_{epoch}.pth')
        (folder / 'last_checkpoint').write_text(f'{folder}/epoch_{epoch}.pth')
    return folder


@pytest.mark.dist
def test_all_processes_resume_from_what_the_first_one_finds(run, tmp_path):
    found = in_two_processes(tmp_path, lambda n: choose_resume((run, tmp_path)[n]))
    assert found == [f'{run}/epoch_3.pth'] * 2


def _cut(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


WEIGHTS = torch.full((2,), torch.inf), torch.ones(2).to_sparse()
WEIGHTS += torch.ones(2, device='meta'), torch.ones(2).to(torch.float8_e4m3fn)
WEIGHTS += (torch.ones(()).expand(1 << 50),)  # of more values than any memory holds
ODD = dict(
    state_dict=[dict(weight=weight) for weight in WEIGHTS],
    optimizer=[dict(state={0: dict(exp_avg=weight)}) for weight in WEIGHTS]
    + [dict(state={'a': {}}), dict(state={}, param_groups=[dict(params=[0, 0])])]
    + [dict(state={1: {}}, param_groups=[dict(params=[0])])],
    message_hub=[{}]
    + [HUB | dict(runtime_info=odd) for odd in (3, dict(keep_ckpt_ids=5))],
    meta=[dict(epoch=1, iter=1, ccmim=odd) for odd in ({}, 5)],
    param_schedulers=[[1], *([dict(last_step=n, _global_step=1)] for n in ('a', -2))],
)
DAMAGES = {
    'empty': lambda path: _cut(path, 0),
    'cut at a tenth': lambda path: _cut(path, 0.1),
    'cut in half': lambda path: _cut(path, 0.5),
    'last byte gone': lambda path: path.write_bytes(path.read_bytes()[:-1]),
    'one bit flipped': flip,
    'not of a run': lambda path: torch.save(dict(a=1), path),
    'a negative mean of squares': lambda path: _save(path, squares=-1e-9),
    'infinite moments': lambda path: _save(path, squares=torch.inf),
} | {
    f'{part} {i}': lambda path, part=part, value=value: _save(path, **{part: value})
    for part, values in ODD.items()
    for i, value in enumerate(values)
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_damage_falls_back_to_the_one_before(run, said, damage):
    DAMAGES[damage](run / 'epoch_3.pth')
    assert choose_resume(run) == f'{run}/epoch_2.pth'
    ((level, text),) = said
    assert level == logging.WARNING
    assert f'Resuming from {run}/epoch_2.pth' in text
    assert f'{run}/epoch_3.pth' in text
    assert '\n' not in text
    assert sorted(p.name for p in run.glob('epoch_*')) == [
        'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth.corrupt',
    ]  # fmt: skip


def test_a_moved_and_a_copied_folder(run, said, tmp_path):
    moved = run.rename(tmp_path / 'moved')
    assert choose_resume(moved) == f'{moved}/epoch_3.pth'
    copy = tmp_path / 'copy'
    copy.mkdir()
    names = 'epoch_3.pth', 'last_checkpoint', 'epoch_2.pth', 'epoch_1.pth'
    for time, name in enumerate(names):
        shutil.copyfile(moved / name, copy / name)
        os.utime(copy / name, (time, time))
    assert choose_resume(copy) == f'{copy}/epoch_3.pth'


def test_order_of_the_names(run, said):
    """Steps after an epoch come after it, and numbers are no text."""
    (run / 'last_checkpoint').unlink()
    for name in ('epoch_3_iter_12', 'epoch_3_iter_9', 'epoch_10', 'best_mIoU_iter_99'):
        _save(run / f'{name}.pth')
    found = []
    while path := choose_resume(run) if list(run.glob('epoch_*')) else None:
        found.append(os.path.basename(path))
        os.unlink(path)
    assert ' '.join(found).replace('.pth', '') == (
        'epoch_10 epoch_3_iter_12 epoch_3_iter_9 epoch_3 epoch_2 epoch_1'
    )


def test_the_pointer_names_a_file_of_any_name(run, said):
    for path in run.glob('epoch_*'):
        path.rename(run / path.name.replace('epoch_', 'kept'))
    (run / 'last_checkpoint').write_text(f'{run}/kept2.pth')
    assert choose_resume(run) == f'{run}/kept2.pth'


def test_an_attempt_that_was_given_up_comes_last(run, said):
    """Somebody went back to epoch 1 by hand, and the run wrote epoch 2 again."""
    os.utime(run / 'epoch_3.pth', (0, 0))
    (run / 'last_checkpoint').write_text(f'{run}/epoch_2.pth')
    assert choose_resume(run) == f'{run}/epoch_2.pth'
    same = (run / 'last_checkpoint').stat().st_mtime_ns
    os.utime(run / 'epoch_3.pth', ns=(same, same))
    assert choose_resume(run) == f'{run}/epoch_3.pth'


def test_no_good_one_is_no_restart(run, said):
    for path in run.glob('*.pth'):
        _cut(path, 0.5)
    for _ in range(2):  # nothing was renamed: it stays an error
        with pytest.raises(ValueError, match='no checkpoint of .* can be used') as e:
            choose_resume(run)
        assert str(e.value).count('is damaged') == 3
    for path in run.glob('*.pth'):
        path.unlink()
    with pytest.raises(ValueError, match='last_checkpoint is there, but no checkpoint'):
        choose_resume(run)


@pytest.mark.parametrize('kind', ['a document', 'a damaged one', 'a checkpoint'])
def test_nothing_outside_is_read_or_renamed(run, said, tmp_path, kind):
    """A pointer is data: it once made --resume rename what it named."""
    other = tmp_path / 'thesis.doc'
    if kind == 'a checkpoint':
        other = tmp_path / 'epoch_9.pth'
        _save(other)
    else:
        other.write_bytes(b'pages' * 1000)
    if kind == 'a damaged one':
        other = other.rename(tmp_path / 'epoch_9.pth')
    before = other.read_bytes()
    (run / 'last_checkpoint').write_text(str(other))
    assert choose_resume(run) == f'{run}/epoch_3.pth'
    assert other.read_bytes() == before
    for path in run.glob('*.pth'):
        path.unlink()
    with pytest.raises(ValueError, match='last_checkpoint is there, but no checkpoint'):
        choose_resume(run)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(['run', other.name])


def test_a_link_is_renamed_and_not_what_it_leads_to(run, said, tmp_path):
    (tmp_path / 'thesis.doc').write_bytes(b'pages')
    (run / 'epoch_4.pth').symlink_to(tmp_path / 'thesis.doc')
    assert choose_resume(run) == f'{run}/epoch_3.pth'
    assert (run / 'epoch_4.pth.corrupt').is_symlink()
    assert (tmp_path / 'thesis.doc').read_bytes() == b'pages'


POINTERS = {
    **{'missing': lambda path: None, 'empty': lambda path: path.touch()},
    'foreign': lambda path: path.write_text('/elsewhere/epoch_9.pth'),
    'binary': lambda path: path.write_bytes(bytes(range(256)) * 9),
    'a zero byte': lambda path: path.write_bytes(b'epoch_2.pth\0'),
    'two lines': lambda path: path.write_text('epoch_2.pth\nepoch_1.pth'),
    **{'a folder': lambda path: path.mkdir(), 'a loop': lambda p: p.symlink_to(p)},
    'itself': lambda path: path.write_text('last_checkpoint'),
    'above': lambda path: path.write_text('..'),
    'long': lambda path: path.write_text('a' * 10**6),
}


@pytest.mark.parametrize('kind', POINTERS)
def test_the_pointer_is_not_needed(run, said, kind):
    (run / 'last_checkpoint').unlink()
    POINTERS[kind](run / 'last_checkpoint')
    assert choose_resume(run) == f'{run}/epoch_3.pth'
    assert said[0][0] == logging.INFO


def test_an_empty_folder_starts_at_0_and_says_so(tmp_path, said):
    assert choose_resume(tmp_path) is None
    assert said == [(logging.INFO, f'Nothing to resume in {tmp_path}: starting at 0')]


def test_a_named_file_is_taken_or_refused(run):
    assert choose_resume(run, run / 'epoch_1.pth') == f'{run}/epoch_1.pth'
    flip(run / 'epoch_1.pth')
    with pytest.raises(ValueError, match='epoch_1.pth is damaged'):
        choose_resume(run, run / 'epoch_1.pth')
    with pytest.raises(ValueError, match='none.pth does not exist'):
        choose_resume(run, 'none.pth')
    torch.save(dict(state_dict={}), run / 'weights.pth')
    with pytest.raises(ValueError, match='holds no optimizer'):
        choose_resume(run, run / 'weights.pth')


@pytest.mark.parametrize('pointer', [b'run/epoch_2.pth', b'\xff\0', None])
def test_a_pointer_that_a_kill_left_behind_is_mended(run, pointer):
    """Else it would name another one for good in a run that is finished."""
    file = run / 'last_checkpoint'
    file.unlink()
    if pointer is None:
        file.symlink_to(file.name)  # leads to itself
    else:
        file.write_bytes(pointer)
        later = file.stat().st_mtime_ns + 10**9
        os.utime(run / 'epoch_3.pth', ns=(later, later))
    assert choose_resume(run) == f'{run}/epoch_3.pth'
    assert file.read_text() == f'{run}/epoch_3.pth'
