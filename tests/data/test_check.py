"""Images are checked ahead of a run, and what is found can be left out of it."""

import io
import os
import tarfile
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.data import UnlabeledImages, open_source
from ccmim.data.bad_files import read_bad_files
from ccmim.data.check import Checked, cautions, check_images, summarize
from tests.data.conftest import TRANSFORM


@pytest.fixture
def mixed(tmp_path):
    """Seven images of several kinds and modes, and four that are none."""
    root = tmp_path / 'mixed'
    (root / 'deep').mkdir(parents=True)
    Image.new('RGB', (40, 30)).save(root / 'a.jpg')
    Image.new('CMYK', (64, 10)).save(root / 'b.jpg')
    Image.new('L', (1, 1)).save(root / 'c.png')
    Image.fromarray(np.zeros((50, 60), np.uint16)).save(root / 'd.png')
    Image.new('P', (20, 20)).save(root / 'e.gif')
    Image.new('RGBA', (30, 40)).save(root / 'f.jpg', 'webp')
    exif = Image.Exif()
    exif[274] = 6
    Image.new('RGB', (100, 80)).save(root / 'deep' / 'g.jpg', exif=exif)
    data = (root / 'a.jpg').read_bytes()
    (root / 'deep' / 'cut.jpg').write_bytes(data[: len(data) // 2])
    (root / 'deep' / 'empty.jpg').write_bytes(b'')
    (root / 'deep' / 'text\n.jpg').write_bytes(b'no image')
    (root / 'deep' / 'link.jpg').symlink_to(root / 'nothing')
    return root


@pytest.fixture
def command(run_tool):
    """Run the command in this process: exit code, standard output and errors."""
    return partial(run_tool, 'check_images.py')


def test_values_of_few_bits_in_16_are_warned_of(tmp_path):
    for i, largest in enumerate((4095, 65535)):
        values = np.linspace(0, largest, 100).astype(np.uint16).reshape(10, 10)
        Image.fromarray(values).save(tmp_path / f'{i}.png')
        cv2.imwrite(str(tmp_path / f'{i}_rgb.png'), np.dstack([values] * 3))
    text = summarize(check_images(open_source(str(tmp_path)), 1))
    few = ('I;16 of values of 12 bits', 'RGB of values of 12 bits', 'I;16', 'RGB')
    for mode in few:
        assert f'1 {mode}' in text
    assert 'WARNING: 2 images have 16 bits and values of 12 or fewer' in text


def test_pages_that_are_not_read_are_warned_of(tmp_path):
    pages = [Image.new('RGB', (20, 20), color) for color in ('red', 'blue')]
    pages[0].save(tmp_path / 'a.tif', save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / 'b.tif')
    results = list(check_images(open_source(tmp_path), 1))
    assert [result.kind for result in results] == ['TIFF of 2 pages', 'TIFF']
    (text,) = cautions(results)
    assert text.startswith('of 1 TIFFs of several pages the first page is read')


@pytest.mark.parametrize('num_workers', [1, 2])
def test_each_image_is_decoded_and_described(mixed, num_workers):
    found = {}
    for name, *rest in check_images(open_source(mixed), num_workers, least_side=10):
        found[name.removeprefix(f'{mixed}/')] = tuple(rest)
    assert found == {
        'a.jpg': (None, 'JPEG', 'RGB', 30),
        'b.jpg': (None, 'JPEG', 'CMYK', 10),
        'c.png': ('too small: 1 px (at least 10)', 'PNG', 'L', 1),
        'd.png': (None, 'PNG', 'I;16', 50),
        'e.gif': (None, 'GIF', 'P', 20),
        'f.jpg': (None, 'WEBP', 'RGBA', 30),
        'deep/g.jpg': (None, 'JPEG', 'RGB', 80),
        'deep/cut.jpg': found['deep/cut.jpg'],
        'deep/empty.jpg': ('empty', '', '', 0),
        'deep/text\\n.jpg': ('not an image', '', '', 0),
        'deep/link.jpg': ('missing: a link to nothing', '', '', 0),
    }
    assert found['deep/cut.jpg'][0].startswith('cut short: ')


def test_the_summary_counts():
    results = [Checked(f'/{i}.jpg', None, 'JPEG', 'RGB', 100 + i) for i in range(101)]
    results += [Checked('/x.png', 'too small: 3 px', 'PNG', 'L', 3)]
    results += [Checked('/y.png', 'empty')] * 2
    assert summarize(results).splitlines() == [
        '104 images: 101 good, 3 bad',
        'Short side in px: min 3, 5% 104, median 150, 95% 195, max 200',
        'Kinds: 101 JPEG, 1 PNG',
        'Modes: 101 RGB, 1 L',
        'Bad: 2 empty, 1 too small',
    ]
    assert summarize([Checked('/y.png', 'empty')]).splitlines() == [
        '1 images: 0 good, 1 bad',
        'Bad: 1 empty',
    ]


def test_the_command_lists_what_is_bad(mixed, tmp_path, command):
    out = tmp_path / 'bad.txt'
    code, text, _ = command(mixed, '--workers', 2, '--out', out)
    assert code == 1
    *listed, _, sides, kinds, modes, bad = text.splitlines()
    assert out.read_text().splitlines() == listed
    assert [line.partition('\t')[0] for line in listed] == [
        f'{mixed}/deep/{name}.jpg' for name in ('cut', 'empty', 'link', 'text\\n')
    ]
    assert '11 images: 7 good, 4 bad' in text
    assert sides == 'Short side in px: min 1, 5% 4, median 30, 95% 71, max 80'
    assert kinds == 'Kinds: 3 JPEG, 2 PNG, 1 GIF, 1 WEBP'
    assert modes == 'Modes: 2 RGB, 1 CMYK, 1 L, 1 I;16, 1 P, 1 RGBA'
    assert bad == 'Bad: 1 cut short, 1 empty, 1 missing, 1 not an image'


def test_the_command_is_content_with_good_images(folder, tmp_path, command):
    out = tmp_path / 'bad.txt'
    code, text, errors = command(folder, '--workers', 1, '--out', out)
    assert (code, errors) == (0, '')  # no bar where there is no terminal
    assert text.startswith('12 images: 12 good, 0 bad\n')
    assert read_bad_files(out) == {}
    code, text, _ = command(folder, '--workers', 1, '--least-side', 21)
    assert code == 1
    assert text.count('too small: 20 px (at least 21)') == 12


def test_lists_and_tars_are_checked_too(folder, tmp_path, command):
    (folder / '003.png').write_bytes(b'')
    (tmp_path / 'list.txt').write_text('photos/001.png\nphotos/003.png\n')
    with tarfile.open(tmp_path / 's.tar', 'w') as shard:
        shard.add(folder / '002.png', '002.png')
        shard.addfile(tarfile.TarInfo('empty.png'), io.BytesIO())
    code, text, _ = command(tmp_path / 'list.txt', tmp_path / 's.tar')
    assert code == 1
    assert text.splitlines()[:3] == [
        f'{folder}/003.png\tempty',
        f'{tmp_path}/s.tar/empty.png\tempty',
        '4 images: 2 good, 2 bad',
    ]


def test_a_killed_process_is_an_error(folder, command, monkeypatch):
    monkeypatch.setattr('ccmim.data.check.open_image', lambda data: os._exit(9))
    with pytest.raises(BrokenProcessPool):
        list(check_images(open_source(folder), 2))
    code, _, errors = command(folder, '--workers', 2)
    assert code == 2
    assert 'a process was killed, often out of memory: try --workers 1' in errors


def _samples(dataset):
    return [dataset[i]['inputs'] for i in range(len(dataset))]


def test_what_was_found_is_left_out_as_if_it_were_gone(
    folder, tmp_path, command, messages, monkeypatch
):
    """Checked by a relative path, left out by an absolute one."""
    (folder / '003.png').write_bytes(b'')
    (folder / '008.png').write_bytes(b'no image')
    monkeypatch.chdir(tmp_path)
    command('photos', '--out', 'bad_files.txt')
    images = UnlabeledImages(folder, TRANSFORM, exclude='bad_files.txt')
    (message,) = messages
    assert message == '2 of the 2 images that bad_files.txt lists are left out'
    gone = {'003.png': 'empty', '008.png': 'not an image'}
    assert images.excluded == {f'{folder}/{k}': reason for k, reason in gone.items()}
    (folder / '003.png').unlink()
    (folder / '008.png').unlink()
    expected = UnlabeledImages(folder, TRANSFORM)
    assert len(images) == len(expected) == 10
    for ours, theirs in zip(_samples(images), _samples(expected), strict=True):
        assert torch.equal(ours, theirs)
    names = [images.name(i) for i in range(10)]
    assert names == [expected.name(i) for i in range(10)]


def test_a_list_of_other_images_is_said_aloud(folder, tmp_path, messages):
    bad = tmp_path / 'bad.txt'
    bad.write_text(f'/elsewhere/a.png\tempty\n{folder}/001.png\tempty\n')
    assert len(UnlabeledImages(folder, TRANSFORM, exclude=bad)) == 11
    assert messages == [f'1 of the 2 images that {bad} lists are left out']


def test_a_list_that_leaves_nothing_or_is_none_is_refused(folder, tmp_path):
    bad = tmp_path / 'bad.txt'
    bad.write_text(''.join(f'{folder}/{i:03d}.png\tempty\n' for i in range(12)))
    with pytest.raises(ValueError, match='bad.txt names all the images'):
        UnlabeledImages(folder, TRANSFORM, exclude=bad)
    bad.write_text('001.png\n')
    with pytest.raises(ValueError, match='bad.txt is no list of bad images'):
        UnlabeledImages(folder, TRANSFORM, exclude=bad)
    with pytest.raises(FileNotFoundError):
        UnlabeledImages(folder, TRANSFORM, exclude=tmp_path / 'gone.txt')
