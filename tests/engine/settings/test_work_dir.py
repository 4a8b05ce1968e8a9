"""The work dir is made, kept, and left as it was when nothing was trained."""

import os
from contextlib import suppress
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from mmengine.config import Config

from ccmim.checkpoints import write_atomically
from ccmim.data.bad_files import BadFiles
from ccmim.engine.settings import StartHook, claim_work_dir
from ccmim.engine.settings.work_dir import files_of_a_run
from ccmim.engine.signals.run_lock import LOCK, RunLock
from ccmim.files import replacing, write_file

RUN = ['epoch_1.pth', 'epoch_2.pth', 'epoch_2_iter_7.pth', 'best_mIoU_epoch_1.pth']
OTHERS = ['mine.pth', 'notes.txt']


@pytest.fixture
def held(tmp_path):
    """A folder with the files of a run, in the order of time, and some others."""
    for i, name in enumerate([*RUN, 'last_checkpoint', *OTHERS]):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (i, i))
    return tmp_path


def _claim(folder, start=None, resume=False, overwrite=False):
    cfg = Config(dict(work_dir=str(folder), resume=resume))
    return claim_work_dir(cfg, start or StartHook(), overwrite)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_runs_beside_it_are_left_alone(tmp_path):
    with suppress(KeyError), _claim(tmp_path / 'runs/all/a'):
        (tmp_path / 'runs/b').mkdir()
        raise KeyError
    assert _names(tmp_path / 'runs') == ['b']


def test_the_list_of_what_stopped_the_run_is_kept(tmp_path):
    with suppress(KeyError), _claim(tmp_path / 'a'):
        (tmp_path / 'a/bad_files.txt').write_text('')
        raise KeyError
    assert _names(tmp_path / 'a') == ['bad_files.txt']


def test_one_that_was_there_is_left_alone(tmp_path):
    (tmp_path / 'notes.txt').write_text('')
    with pytest.raises(KeyError), _claim(tmp_path):
        raise KeyError
    assert _names(tmp_path) == ['notes.txt']


def test_the_newest_checkpoint_is_named(held):
    assert [p.name for p in files_of_a_run(held)] == [*RUN[::-1], 'last_checkpoint']
    with pytest.raises(ValueError, match='best_mIoU_epoch_1.pth'), _claim(held):
        pass


def test_an_overwritten_run_is_deleted_after_the_first_step(held):
    start = StartHook()
    with _claim(held, start, overwrite=True):
        start.before_train_iter(None, 0)
        assert (held / 'epoch_1.pth').exists()
        start.after_train_iter(None, 0)
        assert _names(held) == sorted([*OTHERS, LOCK])
        (held / 'epoch_1.pth').write_text('new')
        start.after_train_iter(None, 1)
    assert _names(held) == sorted([*OTHERS, 'epoch_1.pth'])


OLD, NEW = '20260131_235959', '20260201_000000'


def test_logs_and_pictures_go_with_an_overwritten_run(tmp_path):
    """Those that a run writes itself, and not those of the new one."""
    gone = [f'{OLD}/{OLD}.log', f'{OLD}/vis_data/scalars.json', 'pictures/epoch_9.png']
    kept = [f'{NEW}/{NEW}.log', 'pictures/mine.png', 'mine/mine.log', f'1{OLD}/a.txt']
    for name in gone + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('')
    start = StartHook()
    start.runner = SimpleNamespace(timestamp=NEW)
    with _claim(tmp_path, start, overwrite=True):
        start.before_train_iter(None, 0)
        assert all((tmp_path / name).exists() for name in gone)
        start.after_train_iter(None, 0)
    left = {path for path in tmp_path.rglob('*') if path.is_file()}
    assert left == {tmp_path / name for name in kept}
    assert not (tmp_path / OLD).exists()


def test_an_overwritten_run_survives_one_that_does_not_start(held):
    before = _names(held)
    with pytest.raises(KeyError), _claim(held, overwrite=True):
        raise KeyError
    assert _names(held) == before


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / 'x').write_text('mine')
    for folder in (tmp_path / 'x', tmp_path / 'x/y'):
        message = f'{folder} is not a folder: a file stands in its place'
        with pytest.raises(ValueError, match=message), _claim(folder):
            pass
    assert (tmp_path / 'x').read_text() == 'mine'


def test_one_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    """As on a read-only file system; permissions mean nothing to root."""
    refuse = Mock(side_effect=OSError(30, 'Read-only file system'))
    monkeypatch.setattr('builtins.open', refuse)
    message = rf'cannot write to --work-dir {tmp_path} \(Read-only file system\): give'
    with pytest.raises(ValueError, match=message), _claim(tmp_path):
        pass


def test_one_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(ValueError, match='Permission denied'), _claim(tmp_path):
            pass
    finally:
        os.seteuid(user)


def _replace(path):
    with replacing(path) as part:
        part.write_bytes(b'new')


def _dump(path):
    write_atomically()
    Config(dict(a=1)).dump(path)


WRITERS = {
    'run.lock': lambda path: RunLock(path.parent).take(),
    'bad_files.txt': lambda path: BadFiles(path).add('a.jpg', 'empty'),
    'pictures': lambda path: _claim(path.parent, overwrite=True).__enter__(),
    'debug': lambda path: _claim(path.parent, overwrite=False).__enter__(),
    '.last_checkpoint.part': lambda path: write_file(path.parent / path.name[1:-5], ''),
    '.part.sheet.png': lambda path: _replace(path.parent / path.name[6:]),
    'config.py': _dump,
}


@pytest.mark.parametrize('name', WRITERS)
def test_nothing_is_written_through_a_link(tmp_path, name):
    link, document = tmp_path / 'run' / name, tmp_path / 'thesis' / 'epoch_1.png'
    for file in (link, document):
        file.parent.mkdir()
    document.write_bytes(b'pages\n' * 1000)
    link.symlink_to(document.parent if name == 'pictures' else document)
    if name[0] in 'rbpd':
        with pytest.raises(ValueError, match=f'{name} is a link, .*: remove the link'):
            WRITERS[name](link)
    else:
        WRITERS[name](link)
    assert document.read_bytes() == b'pages\n' * 1000
