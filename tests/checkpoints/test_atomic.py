"""Whatever happens to a writer, the file that was there before can be read."""

import multiprocessing
import os
import signal
import time

import pytest
from mmengine import fileio
from mmengine.config import Config
from mmengine.fileio import LocalBackend

from ccmim.checkpoints.atomic import AtomicLocalBackend, write_atomically
from ccmim.files import WriteError, replacing

OLD, NEW = b'old ' * 1000, b'new ' * 1000


@pytest.fixture(autouse=True)
def _mmengine_as_it_was():
    yield
    fileio.register_backend('local', LocalBackend, force=True, prefixes='')


def _stop_in_the_middle(method, path, reached):
    """Start a write in a process of its own that never gets beyond its last step."""

    def write():
        os.fsync = lambda _: (reached.set(), time.sleep(60))
        if method == 'atomic':
            AtomicLocalBackend().put(NEW, path)
        else:
            with open(path, 'wb') as file:
                file.write(NEW[:2000])
                file.flush()
                os.fsync(file.fileno())

    process = multiprocessing.get_context('fork').Process(target=write)
    process.start()
    assert reached.wait(20)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize('method', ['atomic', 'in place'])
def test_a_killed_writer_leaves_the_old_file(tmp_path, method):
    """Writing in place, as mmengine does, is the control: the check can fail."""
    path = tmp_path / 'epoch_1.pth'
    AtomicLocalBackend().put(OLD, path)
    _stop_in_the_middle(method, path, multiprocessing.get_context('fork').Event())
    assert (path.read_bytes() == OLD) == (method == 'atomic')
    AtomicLocalBackend().put(NEW, path)
    assert path.read_bytes() == NEW
    assert os.listdir(tmp_path) == ['epoch_1.pth']


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, 'No space left on device')

    path = tmp_path / 'epoch_1.pth'
    AtomicLocalBackend().put(OLD, path)
    monkeypatch.setattr(os, 'fsync', full)
    _fill(path, NEW)


def test_a_read_only_disk_is_told_in_one_line(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, 'Read-only file system')

    monkeypatch.setattr('builtins.open', refuse)
    monkeypatch.setattr(os, 'unlink', refuse)
    with pytest.raises(WriteError, match='cannot write .*: Read-only file system'):
        AtomicLocalBackend().put(NEW, tmp_path / 'epoch_1.pth')


def _fill(path, content):
    if not path.exists():
        AtomicLocalBackend().put(OLD, path)
    with pytest.raises(WriteError) as caught:
        AtomicLocalBackend().put(content, path)
    text = str(caught.value)
    assert text.startswith(f'cannot write {path}: No space left on device (')
    assert 'MB needed' in text
    assert '\n' not in text
    assert path.read_bytes() == OLD
    assert os.listdir(path.parent) == ['epoch_1.pth']


def test_mmengine_writes_through_it(tmp_path):
    fileio.put_text('warm', tmp_path / 'text')  # an instance of its own is kept
    write_atomically()
    assert isinstance(fileio.get_file_backend(str(tmp_path)), AtomicLocalBackend)
    fileio.put_text('gr\xfcn', tmp_path / 'new' / 'text')
    assert (tmp_path / 'new' / 'text').read_text(encoding='utf-8') == 'gr\xfcn'
    singleton = fileio.get_file_backend(str(tmp_path), enable_singleton=True)
    assert isinstance(singleton, AtomicLocalBackend)
    Config(dict(a=1)).dump(tmp_path / 'b/a.py')
    assert Config.fromfile(tmp_path / 'b/a.py').dump() == Config(dict(a=1)).dump() > ''
    fileio.dump(dict(a=1), tmp_path / 'a.json')
    assert fileio.load(tmp_path / 'a.json') == dict(a=1)


def test_processes_that_write_one_file_do_not_meet(tmp_path, monkeypatch):
    """mmengine lets each process of a test write the same metrics."""
    replace = os.replace

    def while_another_writes(part, path):
        monkeypatch.setattr(os, 'replace', replace)
        monkeypatch.setattr('ccmim.checkpoints.atomic.get_rank', lambda: 1)
        AtomicLocalBackend().put(NEW, path)
        replace(part, path)

    monkeypatch.setattr(os, 'replace', while_another_writes)
    AtomicLocalBackend().put(NEW, tmp_path / 'metrics.json')
    assert os.listdir(tmp_path) == ['metrics.json']
    assert (tmp_path / 'metrics.json').read_bytes() == NEW


def test_a_picture_that_does_not_fit_leaves_the_old_one(tmp_path):
    file = tmp_path / 'new/curves.png'
    with replacing(file) as part:
        part.write_bytes(OLD)
        assert part.suffix == '.png'
    with pytest.raises(WriteError, match=r'cannot write .*curves.png: No space left'):
        _fail(file, OSError(28, 'No space left'))
    with pytest.raises(ValueError, match='a bug'):
        _fail(file, ValueError('a bug'))
    assert [p.name for p in file.parent.iterdir()] == ['curves.png']
    assert file.read_bytes() == OLD


def _fail(file, error):
    with replacing(file) as part:
        part.write_bytes(NEW[:9])
        raise error
