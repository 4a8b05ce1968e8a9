"""Images by address, on fsspec's memory and on a local server of S3's kind."""

import io
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from ccmim.data import UnlabeledImages
from ccmim.data.image import BadImageError
from ccmim.data.sources import open_source


@pytest.fixture
def bucket():
    """Two images, a tar of two and a text; a function that writes more."""
    system = fsspec.filesystem('memory')
    system.store.clear()

    def write(name, data):
        system.pipe_file(f'/bucket/{name}', data)

    write('b.jpg', b'bytes of b')
    write('deep/a.PNG', b'bytes of a')
    write('deep/notes.txt', b'words')
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for name in ('x/one.jpg', 'x/readme.md', 'two.webp'):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    write('shard.tar', buffer.getvalue())
    yield write
    system.store.clear()


TWO = ['shard.tar/x/one.jpg', 'shard.tar/two.webp']


@pytest.mark.parametrize(
    ('data', 'names'),
    [
        ('memory://bucket', ['b.jpg', 'deep/a.PNG']),
        (Path('memory://bucket/deep'), ['deep/a.PNG']),
        ('memory://bucket/*.jpg', ['b.jpg']),
        ('memory://bucket/shard.tar', TWO),
        (['memory://bucket/shard.tar', 'memory://bucket/b.jpg'], TWO + ['b.jpg']),
    ],
)
def test_folders_globs_images_and_tars(bucket, data, names):
    source = pickle.loads(pickle.dumps(open_source(data)))
    found = [source.name(i) for i in range(len(source))]
    found = [name.replace(':///', '://') for name in found]
    assert found == [f'memory://bucket/{name}' for name in names]
    for i, name in enumerate(names):
        inside = name.removeprefix('shard.tar/')
        plain = f'bytes of {Path(name).stem}'
        assert source.read(i) == (plain if inside == name else inside).encode()
    with pytest.raises(IndexError):
        source.read(len(names))


def test_a_list_joins_files_and_addresses_and_looks_at_one(bucket, tmp_path):
    (tmp_path / 'c.jpg').write_bytes(b'bytes of c')
    listed = tmp_path / 'list.txt'
    listed.write_text('memory://bucket/b.jpg\nc.jpg\nmemory://bucket/gone.jpg\n')
    source = open_source(listed)
    assert [source.read(i)[-1:] for i in (0, 1)] == [b'c', b'b']
    with pytest.raises(FileNotFoundError):
        source.read(2)
    listed.write_text('memory://bucket/gone.jpg\n')
    with pytest.raises(FileNotFoundError, match='Nothing is at memory://bucket/gone'):
        open_source(listed)


def test_what_was_replaced_has_another_checksum(bucket):
    before = [open_source('memory://bucket').checksum(i) for i in (0, 1)]
    bucket('deep/a.PNG', b'other bytes')
    after = [open_source('memory://bucket').checksum(i) for i in (0, 1)]
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    ('address', 'error', 'text'),
    [
        ('memory://bucket/none', FileNotFoundError, 'Nothing is at memory://bucket/n'),
        ('memory://bucket/deep/notes.txt', ValueError, 'cannot be read by address: '),
        ('nothing://bucket', ValueError, 'nothing://bucket cannot be read: ValueError'),
        ('adl://bucket/a', ValueError, 'adl://bucket/a cannot be read: ImportError'),
    ],
)
def test_bad_addresses_are_one_line(bucket, address, error, text):
    with pytest.raises(error, match=text) as caught:
        open_source(address)
    assert '\n' not in str(caught.value)


def test_a_read_is_tried_three_times(bucket, monkeypatch):
    waits, source = [], open_source('memory://bucket')
    monkeypatch.setattr(time, 'sleep', waits.append)
    answers = iter([RuntimeError('slow down\nplease'), b'bytes'])

    def cat_file(self, path, **part):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(type(fsspec.filesystem('memory')), 'cat_file', cat_file)
    assert source.read(0) == b'bytes'
    assert waits == [0.0, 1.0]
    answers = iter([RuntimeError('slow down\nplease')] * 3)
    with pytest.raises(OSError, match='^RuntimeError: slow down; please$'):
        source.read(0)


def test_a_tar_that_became_short_is_named(bucket):
    source = open_source('memory://bucket/shard.tar')
    bucket('shard.tar', b'')
    with pytest.raises(BadImageError, match='cut short'):
        source.read(0)


@pytest.mark.slow
def test_loader_workers_read_from_a_server_of_s3s_kind(tmp_path, monkeypatch):
    pytest.importorskip('s3fs')
    pytest.importorskip('moto')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    for key in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.setenv(key, 'testing')
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
    monkeypatch.setenv('AWS_ENDPOINT_URL', f'http://127.0.0.1:{port}')
    server = subprocess.Popen(
        [sys.executable, '-m', 'moto.server', '-H', '127.0.0.1', '-p', str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k != 'AWS_ENDPOINT_URL'},
    )
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(('127.0.0.1', port)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        system = fsspec.filesystem('s3')
        system.mkdir('photos')
        for i in range(6):
            buffer = io.BytesIO()
            Image.fromarray(np.full((40, 40, 3), 40 * i, np.uint8)).save(buffer, 'png')
            system.pipe_file(f'photos/part{i % 2}/{i}.png', buffer.getvalue())
        resize = dict(type='ccmim.Resize', size=32, keep_ratio=False)
        steps = [resize, dict(type='ccmim.ToUint8Tensor')]
        images = UnlabeledImages('s3://photos', steps)
        assert images.name(1) == 's3://photos/part0/2.png'
        for _ in range(2):  # workers that were forked after a read
            batches = [*DataLoader(images, 2, num_workers=2)]
            values = [int(image.max()) for b in batches for image in b['inputs']]
            assert values == [0, 80, 160, 40, 120, 200]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode='w') as tar:
            tar.addfile(tarfile.TarInfo('empty.jpg'))
            info = tarfile.TarInfo('x/one.jpg')
            info.size = 3
            tar.addfile(info, io.BytesIO(b'one'))
        system.pipe_file('photos/a.tar', buffer.getvalue())
        assert open_source('s3://photos/a.tar').read(1) == b'one'
        with pytest.raises(FileNotFoundError, match='Nothing is at s3://photos/gone'):
            open_source('s3://photos/gone')
    finally:
        server.kill()
        server.wait()
