"""The list of bad images: each once, whoever adds it, whatever it is called."""

import errno
import multiprocessing
import os
import resource
import signal
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccmim.data.bad_files import (
    BadFiles,
    by_kind,
    read_bad_files,
    reason_of,
    write_bad_files,
)
from ccmim.data.image import BadImageError
from ccmim.data.paths import printable


class Slow(BadFiles):
    """Takes its time between looking and writing."""

    def _catch_up(self, added):
        super()._catch_up(added)
        time.sleep(0.001)


def _add_many(path, barrier):
    files = Slow(path)
    for i in range(50):
        barrier.wait()  # all at the same moment
        files.add(f'/photos/{i}.jpg', 'empty')
        files.add(f'/photos/{os.getpid()}_{i}.jpg', 'empty')


def test_processes_that_write_together_lose_and_double_nothing(tmp_path):
    """Four at once; each adds images of its own, and others that all of them add."""
    path = tmp_path / 'bad_files.txt'
    context = multiprocessing.get_context('fork')
    barrier = context.Barrier(4)
    together = dict(target=_add_many, args=(path, barrier))
    processes = [context.Process(**together) for _ in 'abcd']
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    own = [f'{process.pid}_' for process in processes]
    names = [f'/photos/{pid}{i}.jpg' for pid in ['', *own] for i in range(50)]
    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(f'{name}\tempty' for name in names)


def test_each_image_is_listed_once_and_the_first_reason_stays(tmp_path):
    first, second = (BadFiles(tmp_path / 'bad_files.txt') for _ in range(2))
    assert first.add('/a.jpg', 'empty')
    assert not second.add('/a.jpg', 'missing')
    assert second.add('/b.jpg', 'cut short: by 3 bytes')
    assert not first.add('/b.jpg', 'missing')
    reasons = {'/a.jpg': 'empty', '/b.jpg': 'cut short: by 3 bytes'}
    assert first.reasons == second.reasons == reasons
    assert first.num_new == second.num_new == 2
    later = BadFiles(tmp_path / 'bad_files.txt')
    assert later.reasons == read_bad_files(tmp_path / 'bad_files.txt') == reasons
    assert later.num_new == 0


def test_a_file_system_without_locks_does_not_stop_the_run(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, 'Function not implemented')

    monkeypatch.setattr('fcntl.flock', no_locks)
    files = BadFiles(tmp_path / 'bad_files.txt')
    assert files.add('/a.jpg', 'empty')
    assert not BadFiles(tmp_path / 'bad_files.txt').add('/a.jpg', 'empty')


def test_what_a_full_disk_cut_off_is_taken_back(tmp_path):
    """As with a limit on the size of files: the first half of the line is written."""
    path = tmp_path / 'bad_files.txt'
    files = BadFiles(path)
    files.add('/a.jpg', 'empty')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OSError, match='the disk is full'):
            files.add('/b.jpg', 'empty')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_text() == '/a.jpg\tempty\n'
    assert files.add('/b.jpg', 'empty')
    assert path.read_text() == '/a.jpg\tempty\n/b.jpg\tempty\n'


def test_half_a_line_is_no_entry_yet(tmp_path):
    """What a reader sees while somebody writes."""
    path = tmp_path / 'bad_files.txt'
    path.write_text('/a.jpg\tempty\n/b.jp')
    files = BadFiles(path)
    assert files.reasons == {'/a.jpg': 'empty'}
    with open(path, 'a') as file:
        file.write('g\tmissing\n')
    assert not files.add('/b.jpg', 'empty')
    assert files.reasons['/b.jpg'] == 'missing'


def test_a_list_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / 'bad_files.txt'
    write_bad_files(path, {'/a.jpg': 'empty', '/b.jpg': 'refused: 400 MP picture'})
    assert path.read_text() == '/a.jpg\tempty\n/b.jpg\trefused: 400 MP picture\n'
    monkeypatch.setattr(os, 'replace', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_bad_files(path, {})
    assert len(read_bad_files(path)) == 2


@pytest.mark.parametrize('text', ['a list of images\n', '/a.jpg\tempty\n/b.jpg\n'])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    (tmp_path / 'x.txt').write_text(text)
    with pytest.raises(ValueError, match=r'x.txt is no list of bad images: each line'):
        read_bad_files(tmp_path / 'x.txt')


def test_reasons_begin_with_a_kind(tmp_path):
    (tmp_path / 'link.jpg').symlink_to(tmp_path / 'nothing')
    for name, reason in ('gone', 'missing'), ('link', 'missing: a link to nothing'):
        with pytest.raises(FileNotFoundError) as error:
            (tmp_path / f'{name}.jpg').read_bytes()
        assert reason_of(error.value) == reason
    denied = PermissionError(errno.EACCES, 'Permission denied', '/a.jpg')
    assert reason_of(denied) == 'not readable: Permission denied'
    pipe = OSError('not a regular file')
    assert reason_of(pipe) == 'not readable: not a regular file'
    assert reason_of(BadImageError('damaged: a\tb\nc')) == 'damaged: a\\tb\\nc'


def test_reasons_are_counted_by_kind():
    reasons = ['cut short: 3 bytes', 'empty', 'cut short: 4 bytes', 'not an image']
    assert by_kind(reasons) == '2 cut short, 1 empty, 1 not an image'
    assert by_kind(['empty'] * 1203) == '1,203 empty'


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(names=st.lists(st.binary(min_size=1, max_size=30), unique=True, max_size=8))
def test_any_names_make_lines_of_their_own(tmp_path_factory, names):
    """Valid UTF-8, one line each, and no two names alike."""
    path = tmp_path_factory.mktemp('names') / 'bad_files.txt'
    printed = [printable(os.fsdecode(name)) for name in names]
    write_bad_files(path, dict.fromkeys(printed, 'empty'))
    lines = path.read_bytes().decode('utf-8').split('\n')
    assert lines == [f'{name}\tempty' for name in printed] + ['']
    assert len(set(printed)) == len(names)
    assert list(read_bad_files(path)) == printed


@pytest.mark.parametrize(
    ('one', 'other'),
    [(b'caf\xe9', b'caf\\xe9'), ('\x85'.encode(), b'\x85'), (b'\n', b'\\n')],
)
def test_names_that_look_alike_are_told_apart(one, other):
    assert printable(os.fsdecode(one)) != printable(os.fsdecode(other))
