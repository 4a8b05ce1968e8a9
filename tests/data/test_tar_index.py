"""Tar files that lie, cheat or are damaged give their images or a clear error."""

import io
import os
import resource
import tarfile
import time

import numpy as np
import pytest

from ccmim.data.image import BadImageError
from ccmim.data.sources import open_source


def _add(shard, name, data=b'data', **header):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in header.items():
        setattr(info, key, value)
    shard.addfile(info, io.BytesIO(data))


def _member(name, size, kind=tarfile.REGTYPE, data=b''):
    """A header that claims a size, and the data that follow it."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    return bytes(header) + data.ljust(-(-len(data) // 512) * 512, b'\0')


def _names(source):
    return [source.name(i).rpartition('.tar/')[2] for i in range(len(source))]


def test_hostile_members_are_left_out_and_counted_in_one_warning(tmp_path, messages):
    with tarfile.open(tmp_path / 'a.tar', 'w') as shard:
        for name in ('../up.jpg', '/abs.jpg', 'x/../../y.jpg', 'x/..', '/z.png'):
            _add(shard, name)
        for name in ('sym', 'lnk', 'chr', 'blk', 'fifo'):
            kind = getattr(tarfile, f'{name.upper()}TYPE')
            _add(shard, f'{name}.jpg', b'', type=kind, linkname='/etc/passwd')
        _add(shard, 'x..y/a..b.jpg')
        _add(shard, './real.jpg')
    source = open_source(tmp_path / 'a.tar')
    assert _names(source) == ['x..y/a..b.jpg', './real.jpg']
    assert [source.read(i) for i in range(2)] == [b'data'] * 2
    assert messages == [
        f'{tmp_path}/a.tar: left out are 4 with an absolute or parent path '
        '(../up.jpg, /abs.jpg, x/../../y.jpg, ...); 5 that is no regular file '
        '(sym.jpg, lnk.jpg, chr.jpg, ...)'
    ]


def test_nothing_is_ever_written(tmp_path, monkeypatch):
    """Reading a shard opens it for reading, and makes, links and renames nothing."""
    inside = tmp_path / 'deep' / 'deeper'
    inside.mkdir(parents=True)
    with tarfile.open(inside / 'a.tar', 'w') as shard:
        for name in ('../../up.jpg', f'{tmp_path}/abs.jpg', 'good.jpg'):
            _add(shard, name)
    before = sorted(tmp_path.rglob('*'))

    def forbidden(*args, **kwargs):
        raise AssertionError('something was written')

    for name in ('mkdir', 'makedirs', 'symlink', 'link', 'rename', 'replace', 'chmod'):
        monkeypatch.setattr(os, name, forbidden)
    monkeypatch.setattr(tarfile.TarFile, 'extract', forbidden)
    monkeypatch.setattr(tarfile.TarFile, 'extractall', forbidden)
    source = open_source(inside / 'a.tar')
    assert source.read(0) == b'data'
    assert sorted(tmp_path.rglob('*')) == before


def test_a_shard_of_hostile_members_alone_is_refused(tmp_path):
    with tarfile.open(tmp_path / 'a.tar', 'w') as shard:
        _add(shard, '/abs.jpg')
    with pytest.raises(ValueError, match='No images in .*a.tar'):
        open_source(tmp_path / 'a.tar')


def test_a_file_with_an_odd_name_inside_is_named_in_one_line(tmp_path):
    with tarfile.open(tmp_path / 'a.tar', 'w') as shard:
        for name in ('new\nline.jpg', 'caf\udce9.jpg', 'tab\t.jpg', 'snow\u2603.jpg'):
            _add(shard, name)
    names = ['new\\nline.jpg', 'caf\\xe9.jpg', 'tab\\t.jpg', 'snow\u2603.jpg']
    source = open_source(tmp_path / 'a.tar')
    assert _names(source) == names
    assert source.read(1) == b'data'


@pytest.mark.parametrize(
    ('extra', 'reason'),
    [
        (_member('big.jpg', 50 * 2**30), 'outside of the file'),
        (_member('huge.jpg', 2**62), 'outside of the file'),
        (_member('far.jpg', 2**70), 'outside of the file'),
        # Newer versions of tarfile look at this themselves.
        (_member('back.jpg', -512), 'outside of the file|header'),
        (_member('name', 2**40, tarfile.GNUTYPE_LONGNAME), 'a header of'),
        (_member('pax', 2**40, tarfile.XHDTYPE), 'a header of'),
        (_member('all', 2**40, tarfile.XGLTYPE), 'a header of'),
        (_member('l', 4, tarfile.GNUTYPE_LONGNAME, b'abc\0') * 3000, 'recursion'),
        (b'garbage' * 200, 'no header at byte 1024'),
        (b'\0' * 1024 + _member('hidden.jpg', 4, data=b'lost'), 'no header at byte'),
    ],
)
def test_a_header_that_lies_is_an_error_at_once(tmp_path, extra, reason):
    """Without following it, for ever or into the memory."""
    good = _member('good.jpg', 4, data=b'data')
    (tmp_path / 'a.tar').write_bytes(good + extra + b'\0' * 10_240)
    with open(tmp_path / 'a.tar', 'ab') as file:
        file.truncate(2**32)  # sparse: four gigabytes that a header could claim
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    text = f'a.tar is damaged, cut short or no tar: .*({reason})'
    with pytest.raises(ValueError, match=text) as error:
        open_source(tmp_path / 'a.tar')
    assert '\n' not in str(error.value)
    assert time.monotonic() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_member_above_the_limit_is_refused_unread(tmp_path):
    with open(tmp_path / 'a.tar', 'wb') as file:
        file.write(_member('big.jpg', 2**30))
        file.seek(2**30, os.SEEK_CUR)
        file.write(_member('good.jpg', 4, data=b'data') + b'\0' * 1024)
    source = open_source(tmp_path / 'a.tar')
    assert source.read(1) == b'data'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadImageError, match=r'^refused: 1,074 MB file \(limit 537\)$'):
        source.read(0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.fixture
def whole(tmp_path):
    """A shard of three images, 5, 0 and 700 bytes long."""
    with tarfile.open(tmp_path / 'whole.tar', 'w', format=tarfile.PAX_FORMAT) as shard:
        _add(shard, 'a.jpg', b'aaaaa')
        _add(shard, 'b.jpg', b'')
        _add(shard, 'n' * 150 + '.jpg', b'c' * 700)
        _add(shard, 'snow\u2603.jpg', b'd' * 20)
    return tmp_path / 'whole.tar'


def test_a_shard_cut_anywhere_is_an_error_or_says_so(whole, tmp_path, messages):
    """Cut at each 100th byte; only zeros at the end may be missing in silence."""
    data = whole.read_bytes()
    with tarfile.open(whole) as shard:
        *_, last = shard
        content = last.offset_data + 512
    cut = tmp_path / 'cut.tar'
    for length in range(0, content, 100):
        cut.write_bytes(data[:length])
        with pytest.raises(ValueError, match='cut.tar is damaged|No images in'):
            open_source(cut)
    assert not messages
    cut.write_bytes(data[:content])
    assert len(open_source(cut)) == 4
    assert messages.pop() == f'{cut} has no end mark: it may have been cut short'
    for length in (content + 100, content + 512, content + 1024):
        cut.write_bytes(data[:length])
        assert len(open_source(cut)) == 4
    assert not messages


@pytest.mark.slow
def test_the_reader_meets_any_bytes(whole, tmp_path, monkeypatch):
    """Two seconds of seeded damage: images inside the file, or a clear error."""
    monkeypatch.setattr('ccmim.data.tar_index.log_message', lambda *_, **__: None)
    rng, data = np.random.default_rng(0), whole.read_bytes()
    heads = [i for i in range(0, len(data), 512) if data[i : i + 512].strip(b'\0')]
    path = tmp_path / 'fuzz.tar'
    tried = opened = 0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        broken = bytearray(data)
        for _ in range(rng.integers(1, 5)):
            head = int(rng.choice(heads))
            at = head + int(rng.integers(512))
            # Half of the time in the size, the check sum or the type.
            if rng.random() < 0.5:
                at = head + int(rng.choice([*range(124, 136), *range(148, 157)]))
            broken[at] = rng.integers(256)
            if rng.random() < 0.7:  # with a check sum that agrees
                block = broken[head : head + 512]
                total = sum(block[:148]) + 256 + sum(block[156:])
                broken[head + 148 : head + 156] = b'%06o\0 ' % total
        if rng.random() < 0.2:
            del broken[int(rng.integers(len(broken))) :]
        path.write_bytes(broken)
        tried += 1
        opened += _read_all(path)
    assert tried > 100
    assert 0 < opened < tried
    print(f'{tried} damaged tars in 2 s, {opened} opened')


def _read_all(path):
    """Whether a tar opens; all its images lie within it then."""
    try:
        source = open_source(path)
    except ValueError:
        return False
    for i in range(len(source)):
        assert len(source.read(i)) <= path.stat().st_size
        assert source.name(i).isprintable()
    return True
