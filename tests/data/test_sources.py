import io
import os
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ccmim.data.image import BadImageError
from ccmim.data.sources import open_source
from ccmim.data.tar_shards import TarShards


def _write(root, names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f'bytes of {name}'.encode())


def _tar(path, members, mode='w', **kwargs):
    with tarfile.open(path, mode, **kwargs) as shard:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            shard.addfile(info, io.BytesIO(data))
    return path


def _names(source, root):
    return [os.path.relpath(source.name(i), root) for i in range(len(source))]


def test_a_folder_is_searched_deep_sorted_and_by_any_case_of_suffix(tmp_path):
    names = ['b.jpg', 'a.PNG', 'z/d.Tiff', 'c/e.JPEG', 'c/a/x.webp', 'c/b.bmp', 'f.tif']
    _write(tmp_path, [*names, 'notes.txt', '.hidden.jpg', '.cache/g.jpg', 'noext'])
    source = open_source(tmp_path)
    expected = ['a.PNG', 'b.jpg', 'f.tif', 'c/b.bmp', 'c/e.JPEG', 'c/a/x.webp']
    assert _names(source, tmp_path) == [*expected, 'z/d.Tiff']
    assert source.read(3) == b'bytes of c/b.bmp'
    with pytest.raises(IndexError):
        source.read(7)


def test_names_are_absolute_whatever_was_given(tmp_path, monkeypatch):
    _write(tmp_path, ['photos/a.jpg'])
    _tar(tmp_path / 's.tar', {'b.jpg': b'b'})
    monkeypatch.chdir(tmp_path / 'photos')
    for data in ('.', '../photos/', './a.jpg'):
        assert open_source(data).name(0) == f'{tmp_path}/photos/a.jpg'
    assert open_source('../s.tar').name(0) == f'{tmp_path}/s.tar/b.jpg'


def test_pictures_of_kinds_that_are_not_read_are_counted_aloud(tmp_path, messages):
    _write(tmp_path, ['a.gif', 'b.jfif', 'c.HEIC', 'd/e.heic', 'f.svg', 'g.txt'])
    assert _names(open_source(tmp_path), tmp_path) == ['a.gif', 'b.jfif']
    (message,) = messages
    assert message.startswith(f'Left out in {tmp_path}: 2 .heic, 1 .svg (looked for ')


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    _write(tmp_path, ['in/a.jpg', 'elsewhere/b.jpg'])
    (tmp_path / 'in' / 'link').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'in' / 'loop').symlink_to(tmp_path / 'in')
    source = open_source(tmp_path / 'in')
    assert _names(source, tmp_path / 'in') == ['a.jpg', 'link/b.jpg']


def test_what_runs_write_is_no_data(tmp_path):
    """But a camera's folder is, whose name is a date as well."""
    _write(tmp_path, ['a.jpg', '20240102_030405/b.jpg', 'pictures/c.jpg'])
    expected = _names(open_source(tmp_path), tmp_path)
    assert len(expected) == 3
    runs = ['work_dirs/mae/seen.png', 'deep/work_dirs/seen.png']
    runs += ['my run/last_checkpoint', 'my run/pictures/epoch_1.png']
    runs += ['begun/run.lock', 'begun/seen.png', 'killed/pictures/epoch_1.png']
    runs += ['killed/20260101_000000/vis_data/config.py']
    _write(tmp_path, runs)
    assert _names(open_source(tmp_path), tmp_path) == expected
    seen = open_source(tmp_path / 'my run/pictures')
    assert _names(seen, tmp_path) == ['my run/pictures/epoch_1.png'], 'if asked for'
    _write(tmp_path, ['last_checkpoint', '20260101_000000/vis_data/seen.png'])
    assert _names(open_source(tmp_path), tmp_path) == ['a.jpg'], 'a run of its own'


def test_several_roots_keep_their_order(tmp_path):
    _write(tmp_path, ['one/a.jpg', 'two/a.jpg'])
    source = open_source([tmp_path / 'two', str(tmp_path / 'one')])
    assert _names(source, tmp_path) == ['two/a.jpg', 'one/a.jpg']


def test_any_file_name_is_read_and_printed_as_one_line_of_utf8(tmp_path):
    names = [b'caf\xe9.jpg', b'new\nline.jpg', 'snow\u2603 man.jpg'.encode()]
    names += [b'x' * 251 + b'.jpg']
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), 'wb') as file:
            file.write(name)
    source = pickle.loads(pickle.dumps(open_source(tmp_path)))
    printed = [source.name(i) for i in range(4)]
    assert [source.read(i) for i in range(4)] == sorted(names)
    assert printed[0].endswith('caf\\xe9.jpg')
    assert printed[1].endswith('new\\nline.jpg')
    assert printed[2].endswith('snow\u2603 man.jpg')
    for text in printed:
        text.encode()


def test_an_empty_folder_says_what_was_looked_for_and_found(tmp_path):
    _write(tmp_path, [f'{i}.txt' for i in range(12)] + ['a.xml'])
    text = r'No images in .*\(looked for jpg, jpeg, .*; found 12 .txt, 1 .xml\)'
    with pytest.raises(ValueError, match=text):
        open_source(tmp_path)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='found no files'):
        open_source(tmp_path / 'empty')


@pytest.mark.parametrize('data', ['nowhere', 'nowhere/*.tar', ['.', 'nowhere']])
def test_a_wrong_path_is_named_in_one_line(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, ['a.jpg'])
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/nowhere') as error:
        open_source(data)
    assert '\n' not in str(error.value)


def test_no_data_at_all_is_an_error():
    with pytest.raises(ValueError, match='No images in'):
        open_source([])


def test_a_file_of_another_kind_is_refused(tmp_path):
    _write(tmp_path, ['a.csv'])
    with pytest.raises(ValueError, match='a.csv: it is no folder'):
        open_source(tmp_path / 'a.csv')


@pytest.mark.parametrize('name', ['pipe.jpg', 'pipe.tar', 'pipe.txt'])
def test_a_named_pipe_does_not_hang(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match='Cannot read images'):
        open_source(tmp_path / name)


def test_a_named_pipe_in_a_folder_is_an_unreadable_image(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')
    with pytest.raises(OSError, match='not a regular file'):
        open_source(tmp_path).read(0)


def test_a_list_file_is_relative_to_its_folder_or_to_root(tmp_path):
    _write(tmp_path, ['a.jpg', 'sub/b.jpg', 'sub/a.jpg'])
    text = f'# comment\n\n  a.jpg\r\n{tmp_path}/sub/b.jpg\ngone.jpg\n'
    (tmp_path / 'list.txt').write_text(text)
    source = open_source(tmp_path / 'list.txt')
    assert _names(source, tmp_path) == ['a.jpg', 'sub/b.jpg', 'gone.jpg']
    with pytest.raises(FileNotFoundError):
        source.read(2)
    source = open_source(tmp_path / 'list.txt', root=tmp_path / 'sub')
    with pytest.raises(ValueError, match='root=.* where the paths of a list'):
        open_source(tmp_path, root=tmp_path / 'sub')
    assert source.read(0) == b'bytes of sub/a.jpg'


def test_a_list_file_with_a_wrong_root_or_nothing_in_it_is_refused(tmp_path):
    (tmp_path / 'list.txt').write_text('a.jpg\n')
    with pytest.raises(FileNotFoundError, match='list.txt lists a.jpg, but'):
        open_source(tmp_path / 'list.txt')
    (tmp_path / 'list.txt').write_text('# nothing\n')
    with pytest.raises(ValueError, match='the list is empty'):
        open_source(tmp_path / 'list.txt')


def test_tar_shards_read_their_images_at_random(tmp_path):
    first = {'x/a.jpg': b'A' * 700, 'x/a.json': b'{}', './b.PNG': b'', 'c.jpg': b'C'}
    _tar(tmp_path / '0.tar', first)
    _tar(tmp_path / '1.tar', {'n' * 300 + '.jpg': b'long'}, format=tarfile.GNU_FORMAT)
    source = open_source(tmp_path / '*.tar')
    assert [source.read(i) for i in (3, 0, 2, 1)] == [b'long', b'A' * 700, b'C', b'']
    assert source.name(0) == f'{tmp_path}/0.tar/x/a.jpg'
    copy = pickle.loads(pickle.dumps(source))
    assert copy.read(0) == b'A' * 700


def test_tars_within_a_tar_are_read_in_place(tmp_path, messages):
    """As in ILSVRC2012_img_train.tar, beside photos too; what is deeper is named."""
    deep = _tar(tmp_path / 'deep.tar', {'d.jpg': b'd'}).read_bytes()
    inner = {'a.JPEG': b'A' * 700, 'deep.tar': deep, 'b.JPEG': b'B'}
    inner = _tar(tmp_path / 'inner.tar', inner).read_bytes()
    second = _tar(tmp_path / 'second.tar', {'c.JPEG': b'C' * 513}).read_bytes()
    outer = {'n1.tar': inner, 'p.jpg': b'p', 'n2.tar': second}
    outer.update({'x.zip': b'', 'z.gz': b''})
    path = _tar(tmp_path / 'outer.tar', outer)
    source = open_source(path)
    names = ['n1.tar/a.JPEG', 'n1.tar/b.JPEG', 'p.jpg', 'n2.tar/c.JPEG']
    assert _names(source, path) == names
    read = [source.read(i) for i in (3, 0, 2, 1)]
    assert read == [b'C' * 513, b'A' * 700, b'p', b'B']
    assert messages == [
        f'{path}: left out are 1 that is a tar in a tar in a tar (n1.tar/deep.tar); '
        '2 that is a compressed archive (x.zip, z.gz)'
    ]
    cut = _tar(tmp_path / 'cut.tar', {'n1.tar': inner[:700]})
    with pytest.raises(ValueError, match=r'cut.tar/n1.tar is damaged, cut short'):
        open_source(cut)
    empty = _tar(tmp_path / 'empty.tar', {'n1.tar.gz': b'', 'x.csv': b''})
    with pytest.raises(ValueError, match=r'No images in .* compressed archive \(n1'):
        open_source(empty)


def _zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, 'w', method) as shard:
        for name, data in members.items():
            shard.writestr(name, data)
    return path


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zips_read_their_images_at_random(tmp_path, messages, method):
    members = {'x/a.jpg': b'A' * 7000, 'x/': b'', 'b.PNG': b'', '../c.jpg': b'c'}
    first = _zip(tmp_path / '0.zip', {**members, 'd.tar': b'', 'n.txt': b''}, method)
    _zip(tmp_path / '1.zip', {'e.jpg': b'e' * 600}, method)
    (tmp_path / 'f.jpg').write_bytes(b'f')
    source = open_source([f'{tmp_path}/*.zip', tmp_path / 'f.jpg'])
    names = ['f.jpg', '0.zip/x/a.jpg', '0.zip/b.PNG', '1.zip/e.jpg']
    assert _names(source, tmp_path) == names
    copy = pickle.loads(pickle.dumps(source))
    for one in (source, copy):
        data = [one.read(i) for i in (3, 0, 2, 1)]
        assert data == [b'e' * 600, b'f', b'', b'A' * 7000]
    assert messages == [
        f'{first}: left out are 1 with an absolute or parent path (../c.jpg); '
        '1 that is an archive (d.tar)'
    ]
    assert len({source.checksum(i) for i in (1, 3)}) == 2
    raw = bytearray(first.read_bytes())
    raw[60:90] = bytes(30)
    first.write_bytes(raw)
    if method == zipfile.ZIP_DEFLATED:
        with pytest.raises(BadImageError, match='damaged: not what the directory'):
            source.read(1)
    raw[:4] = bytes(4)
    first.write_bytes(raw)
    with pytest.raises(BadImageError, match='no member where its directory says'):
        source.read(1)


def test_a_zip_that_cannot_be_read_is_refused(tmp_path):
    whole = _zip(tmp_path / 'a.zip', {'a.jpg': b'a' * 5000}).read_bytes()
    (tmp_path / 'cut.zip').write_bytes(whole[:-30])
    with pytest.raises(ValueError, match='cut.zip is damaged, cut short or no zip'):
        open_source(tmp_path / 'cut.zip')
    _zip(tmp_path / 'rare.zip', {'a.jpg': b'a'}, zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match='No images in .* neither stored nor deflated'):
        open_source(tmp_path / 'rare.zip')
    flagged = bytearray(whole)
    flagged[whole.index(b'PK\1\2') + 8] |= 1
    (tmp_path / 'secret.zip').write_bytes(flagged)
    with pytest.raises(ValueError, match=r'No images in .* encrypted \(a.jpg\)'):
        open_source(tmp_path / 'secret.zip')


@pytest.fixture
def parquet(tmp_path):
    """Make a function that writes columns to a parquet file, two rows a group."""
    pyarrow = pytest.importorskip('pyarrow')
    from pyarrow import parquet

    def write(name, **columns):
        parquet.write_table(pyarrow.table(columns), tmp_path / name, row_group_size=2)
        return tmp_path / name

    return write


def test_parquet_as_on_the_hub_is_read_by_row_group(tmp_path, parquet):
    images = [dict(bytes=b'%d' % i * 99, path=f'n/{i}.jpg') for i in range(5)]
    first = parquet('train-0.parquet', label=[0, 1, 2, 3, 4], image=images)
    rest = [b'5', None, b'7']
    parquet('train-1.parquet', image=rest, mask=[b'x', b'x', b'x'])
    source = open_source(f'{tmp_path}/*.parquet')
    assert len(source) == 8
    assert source.name(3) == f'{first}/3-3.jpg'
    assert source.name(7) == f'{tmp_path}/train-1.parquet/2'
    for one in (source, pickle.loads(pickle.dumps(source))):
        order = [7, 0, 4, 5, 1, 3, 2, 0]
        assert [one.read(i)[:1] for i in order] == [b'%d' % i for i in order]
        assert len(one.read(4)) == 99
        assert len(one._kept) == 2
        with pytest.raises(BadImageError, match='the row holds no image'):
            one.read(6)
    with pytest.raises(IndexError):
        source.read(8)
    raw = bytearray(first.read_bytes())
    raw[4:200] = bytes(196)
    first.write_bytes(raw)
    with pytest.raises((BadImageError, OSError)):
        open_source(first).read(0)
    first.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickle.dumps(source)).read(0)


def test_parquet_without_images_is_refused(tmp_path, parquet):
    wrong = parquet('a.parquet', text=['a'], left=[b'x'], right=[b'y'])
    with pytest.raises(ValueError, match='wanted is a column of bytes called image'):
        open_source(wrong)
    cut = tmp_path / 'cut.parquet'
    cut.write_bytes(wrong.read_bytes()[:-20])
    with pytest.raises(ValueError, match='cut.parquet is damaged, cut short or no'):
        open_source(cut)
    empty = parquet('empty.parquet', image=[b'x'][:0])
    with pytest.raises(ValueError, match='No images in .*empty.parquet'):
        open_source(empty)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    _write(tmp_path, ['a.parquet'])
    with pytest.raises(ValueError, match=r'needs pyarrow: pip install "ccmim.parquet'):
        open_source(tmp_path / 'a.parquet')


def test_the_address_of_a_file_is_its_path(tmp_path):
    _write(tmp_path, ['a b.jpg'])
    address = (tmp_path / 'a b.jpg').as_uri()
    (tmp_path / 'list.txt').write_text(f'{address}\n')
    for data in (address, tmp_path.as_uri(), tmp_path / 'list.txt'):
        assert open_source(data).read(0) == b'bytes of a b.jpg'


@pytest.mark.parametrize('name', ['a.tar.gz', 'a.tgz', 'misnamed.tar'])
def test_a_compressed_tar_is_refused_with_the_remedy(tmp_path, name):
    _tar(tmp_path / name, {'a.jpg': b'a'}, 'w:gz')
    with pytest.raises(ValueError, match='compressed.*unpack it'):
        open_source(tmp_path / name)


def test_a_damaged_or_imageless_tar_is_refused(tmp_path):
    whole = _tar(tmp_path / 'a.tar', {'a.jpg': b'a' * 5000, 'b.jpg': b'b' * 5000})
    (tmp_path / 'cut.tar').write_bytes(whole.read_bytes()[:7000])
    with pytest.raises(ValueError, match='cut.tar is damaged, cut short or no tar'):
        open_source(tmp_path / 'cut.tar')
    (tmp_path / 'text.tar').write_text('no tar at all')
    with pytest.raises(ValueError, match='text.tar is damaged'):
        open_source(tmp_path / 'text.tar')
    _tar(tmp_path / 'empty.tar', {'a.json': b'{}'})
    with pytest.raises(ValueError, match='No images in .*empty.tar'):
        open_source(tmp_path / 'empty.tar')


def test_a_shard_that_shrinks_later_gives_an_unreadable_image(tmp_path):
    path = _tar(tmp_path / 'a.tar', {'a.jpg': b'a' * 5000})
    source = open_source(path)
    os.truncate(path, 1000)
    with pytest.raises(BadImageError, match='cut short: the shard ends inside'):
        source.read(0)


def test_many_shards_do_not_use_up_the_file_handles(tmp_path, monkeypatch):
    monkeypatch.setattr('ccmim.data.open_files._MAX_OPEN', 2)
    paths = [_tar(tmp_path / f'{i}.tar', {'a.jpg': b'%d' % i}) for i in range(5)]
    source = TarShards([str(path) for path in paths])
    order = [0, 1, 2, 3, 4, 0, 4, 2]
    assert [int(source.read(i)) for i in order] == order
    assert len(source._shards._files) == 2


def test_files_and_shards_join_into_one_source(tmp_path):
    _write(tmp_path, ['photos/a.jpg', 'photos/b.jpg', 'c.png'])
    _tar(tmp_path / 's.tar', {'d.jpg': b'd'})
    source = open_source([tmp_path / 's.tar', tmp_path / 'photos', f'{tmp_path}/*.png'])
    names = ['photos/a.jpg', 'photos/b.jpg', 'c.png', 's.tar/d.jpg']
    assert _names(source, tmp_path) == names
    assert source.read(3) == b'd'
    with pytest.raises(IndexError):
        source.read(4)


def test_a_list_with_zero_bytes_is_no_list(tmp_path):
    (tmp_path / 'a.jpg').touch()
    (tmp_path / 'a.txt').write_bytes(b'a.jpg\nb\0.jpg\n')
    with pytest.raises(ValueError, match=r'a.txt is no list of paths: b\\x00.jpg'):
        open_source(tmp_path / 'a.txt')


@pytest.mark.parametrize('lines', ['a.jpg\nsub/b.jpg\n', '\n{0}/a.jpg\n{0}/sub/b.jpg'])
@pytest.mark.parametrize('root', [None, 'here'])
@pytest.mark.parametrize('relative', [False, True])
def test_a_plain_list_is_read_as_any_other(
    tmp_path, monkeypatch, lines, root, relative
):
    """Without a string for each path; a comment takes the long way."""
    _write(tmp_path, ['a.jpg', 'sub/b.jpg'])
    monkeypatch.chdir(tmp_path)
    root = root and tmp_path
    text = lines.format(tmp_path)
    Path('short.txt').write_text(text)
    Path('long.txt').write_text('# a comment\n' + text)
    short, long = (
        open_source(name if relative else tmp_path / name, root)
        for name in ('short.txt', 'long.txt')
    )
    assert short.paths() == long.paths() == short.joined().split(b'\n')
    assert [short.name(i) for i in (0, 1)] == [long.name(i) for i in (0, 1)]
    assert pickle.loads(pickle.dumps(short)).read(1) == b'bytes of sub/b.jpg'
    Path('short.txt').write_text('gone.jpg\na.jpg\n')
    with pytest.raises(FileNotFoundError, match='lists gone.jpg, but'):
        open_source('short.txt')
