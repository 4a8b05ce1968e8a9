"""A loader passes a thousand bad images unharmed, and accounts for every one."""

import io
import os
import struct
import time
import warnings
import zlib
from collections import Counter

import numpy as np
import pytest
from mmengine.dataset import default_collate
from PIL import Image
from torch.utils.data import DataLoader

from ccmim.data import UnlabeledImages, VisitSampler, decode_image, open_source
from ccmim.data.bad_files import BadFiles, read_bad_files, reason_of
from ccmim.data.image import BadImageError
from tests.data.conftest import TRANSFORM

KINDS = ('jpeg', 'png', 'webp', 'gif', 'bmp', 'tiff')


def _good(rng, kind):
    height, width = rng.integers(8, 40, 2)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _cut(rng, data, other):
    return data[: int(rng.integers(1, len(data)))]


def _flipped(rng, data, other):
    data = bytearray(data)
    for at in rng.integers(0, len(data), int(rng.integers(1, 30))):
        data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _another_header(rng, data, other):
    size = int(rng.integers(4, 64))
    return other[:size] + data[size:]


def _headless(rng, data, other):
    return data[int(rng.integers(1, 40)) :]


def _hole(rng, data, other):
    start, stop = sorted(rng.integers(0, len(data), 2).tolist())
    return data[:start] + bytes(stop - start) + data[stop:]


def _huge(rng, data, other):
    """A PNG that claims more pixels than the memory holds, with an honest check sum."""
    header = struct.pack('>II', *rng.integers(14_000, 2**31, 2).tolist())
    header += bytes([8, 2, 0, 0, 0])
    crc = struct.pack('>I', zlib.crc32(b'IHDR' + header))
    png = _good(rng, 'png')
    return png[:16] + header + crc + png[33:]


def _no_image(rng, data, other):
    texts = (b'', b'\0' * 5000, b'<html>404</html>', b'<svg/>', b'\0\0\0\x18ftypheic')
    return texts[int(rng.integers(5))]


def _garbage(rng, data, other):
    return rng.bytes(int(rng.integers(1, 3000)))


def _joined(rng, data, other):
    return data[: len(data) // 2] + other


DAMAGES = (_cut, _flipped, _another_header, _headless, _hole)
DAMAGES += (_huge, _no_image, _garbage, _joined)
ODD_NAMES = (b'caf\xe9', b'new\nline', '\U0001f600'.encode(), b'sp ace\t', b'a\\b')


def _write(root, num_bad, num_good, seed=0):
    """Write bad and good images mixed, some with wrong suffixes and odd names."""
    rng = np.random.default_rng(seed)
    suffixes = (b'.jpg', b'.png', b'.WEBP', b'.gif', b'.bmp', b'.tif')
    harms = [None] * num_good + [DAMAGES[i % len(DAMAGES)] for i in range(num_bad)]
    for i, place in enumerate(rng.permutation(len(harms))):
        data = _good(rng, KINDS[i % len(KINDS)])
        if harms[place]:
            data = harms[place](rng, data, _good(rng, KINDS[int(rng.integers(6))]))
        odd = ODD_NAMES[i % len(ODD_NAMES)] if i % 7 == 0 else b''
        if i % 50 == 0:
            odd = b'x' * 240
        name = b'%05d' % i + odd + suffixes[int(rng.integers(len(suffixes)))]
        with open(os.path.join(os.fsencode(root), name), 'wb') as file:
            file.write(data)


def _oracle(source):
    """The reason of each image that cannot be used, one by one."""
    reasons = {}
    for i in range(len(source)):
        try:
            decode_image(source.read(i))
        except (BadImageError, OSError) as error:
            reasons[source.name(i)] = reason_of(error)
    return reasons


def _pass(dataset, epochs, num_workers=2, batch_size=25):
    """Keys of the images that came as they are, in any epoch."""
    sampler = VisitSampler(dataset, seed=1)
    options = dict(num_workers=num_workers, collate_fn=default_collate)
    loader = DataLoader(dataset, batch_size, sampler=sampler, **options)
    shown = Counter()
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        order = [key.index for key in sampler]
        indices = [i for batch in loader for i in batch['data_samples'].tolist()]
        assert len(indices) == len(order)
        shown.update(a for a, b in zip(indices, order, strict=True) if a == b)
    return shown


def _bad_run(tmp_path, num_bad, num_good, epochs=2):
    root = tmp_path / 'photos'
    root.mkdir()
    _write(root, num_bad, num_good)
    dataset = UnlabeledImages(root, TRANSFORM, max_bad_ratio=1)
    dataset.bad.files = BadFiles(tmp_path / 'bad_files.txt')
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        shown = _pass(dataset, epochs)
        seconds = time.monotonic() - start
        expected = _oracle(open_source(root))
    listed = read_bad_files(tmp_path / 'bad_files.txt')
    assert listed == expected
    lines = (tmp_path / 'bad_files.txt').read_bytes().decode('utf-8').splitlines()
    assert len(lines) == len(expected)
    good = {i for i in range(len(dataset)) if dataset.name(i) not in expected}
    assert set(shown) == good
    assert set(shown.values()) == {epochs}
    return len(dataset), listed, seconds


def test_every_bad_image_is_listed_and_every_good_one_is_seen(tmp_path):
    size, listed, _ = _bad_run(tmp_path, num_bad=90, num_good=20)
    assert size == 110
    assert 50 < len(listed) <= 90


def test_files_that_vanish_or_change_during_a_run_are_listed(folder, tmp_path):
    dataset = UnlabeledImages(folder, TRANSFORM, max_bad_ratio=1)
    dataset.bad.files = BadFiles(tmp_path / 'bad_files.txt')
    _pass(dataset, 1)
    assert not (tmp_path / 'bad_files.txt').exists()
    (folder / '001.png').unlink()
    (folder / '002.png').write_bytes(b'')
    (folder / '003.png').write_bytes((folder / '003.png').read_bytes()[:300])
    (folder / '004.png').unlink()
    (folder / '004.png').symlink_to(folder / 'nothing.png')
    (folder / '005.png').write_bytes((folder / '006.png').read_bytes())  # a good one
    shown = _pass(dataset, 1)
    listed = read_bad_files(tmp_path / 'bad_files.txt')
    assert {name[-7:-4]: why.partition(' (')[0] for name, why in listed.items()} == {
        '001': 'missing',
        '002': 'empty',
        '003': 'cut short: image file is truncated',
        '004': 'missing: a link to nothing',
    }
    assert set(shown) == set(range(12)) - {1, 2, 3, 4}


def test_what_is_no_file_is_listed_and_never_waited_for(folder, tmp_path):
    os.mkfifo(folder / '012.jpg')
    (folder / '013.jpg').symlink_to('/dev/zero')
    (folder / '014.jpg').symlink_to(folder / 'nothing')
    (folder / '015.jpg').mkdir()
    with open(folder / '016.jpg', 'wb') as file:
        file.truncate(50 * 10**9)  # sparse
    names = '\n'.join(sorted(os.listdir(folder)))
    (folder / 'list.txt').write_text(names)
    dataset = UnlabeledImages(folder / 'list.txt', TRANSFORM, max_bad_ratio=1)
    dataset.bad.files = BadFiles(tmp_path / 'bad_files.txt')
    start = time.monotonic()
    assert set(_pass(dataset, 1)) == set(range(12))
    assert time.monotonic() - start < 10
    listed = read_bad_files(tmp_path / 'bad_files.txt')
    assert {name[-7:]: reason for name, reason in listed.items()} == {
        '012.jpg': 'not readable: not a regular file',
        '013.jpg': 'not readable: not a regular file',
        '014.jpg': 'missing: a link to nothing',
        '015.jpg': 'not readable: not a regular file',
        '016.jpg': 'refused: 50,000 MB file (limit 537)',
    }


@pytest.mark.skipif(not os.geteuid(), reason='root may read everything')
def test_closed_files_are_listed(folder, tmp_path):
    (folder / '003.png').chmod(0)
    dataset = UnlabeledImages(folder, TRANSFORM)
    dataset.bad.files = BadFiles(tmp_path / 'bad_files.txt')
    _pass(dataset, 1)
    (reason,) = read_bad_files(tmp_path / 'bad_files.txt').values()
    assert reason == 'not readable: Permission denied'


def test_a_list_that_cannot_be_written_does_not_stop_the_run(folder, messages):
    (folder / '003.png').write_bytes(b'')
    dataset = UnlabeledImages(folder, TRANSFORM)
    dataset.bad.files = BadFiles(folder / 'nowhere' / 'bad_files.txt')
    assert set(_pass(dataset, 1, num_workers=0)) == set(range(12)) - {3}
    assert messages == [
        f'Cannot write {folder}/nowhere/bad_files.txt: No such file or directory',
        f'Damaged image, replaced by others: {folder}/003.png (empty)',
    ]


def test_too_many_are_counted_over_all_who_share_the_list(folder, tmp_path):
    """Two ranks with two bad images each: three in all are allowed."""
    for i in (1, 2, 3, 4):
        (folder / f'{i:03d}.png').write_bytes(b'')
    ranks = [UnlabeledImages(folder, TRANSFORM) for _ in range(2)]
    for rank in ranks:
        rank.bad.files = BadFiles(tmp_path / 'bad_files.txt')
    for rank, index in ((0, 1), (0, 2), (1, 3)):
        _ = ranks[rank][index]
    with pytest.raises(RuntimeError) as error:
        _ = ranks[1][4]
    assert str(error.value) == (
        f'4 of 12 images are damaged, 3 are allowed (max_bad_ratio): {folder}/003.png, '
        f'{folder}/004.png; 4 empty ({tmp_path}/bad_files.txt)'
    )
