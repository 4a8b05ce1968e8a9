"""A worker that dies or hangs ends the run soon, with one line that names the image."""

import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import time

import pytest
import torch
from torch.utils.data import DataLoader

from ccmim.data import UnlabeledImages, unlabeled
from ccmim.data.bad_images import TooManyBadImagesError
from ccmim.data.crop_box import ImagesWithCropBox
from ccmim.data.loader_errors import end_workers, explain, require_batch
from ccmim.data.unlabeled import unlabeled_in
from tests.data.conftest import TRANSFORM
from tests.processes import PYTHON, run


class Trouble:
    """A decoder that kills its worker, or never ends."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, data, least_side):
        if self.kind == 'killed':
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == 'bus error':
            os.kill(os.getpid(), signal.SIGBUS)
        if self.kind == 'exit':
            os._exit(3)
        if self.kind == 'sleeps':
            time.sleep(1000)
        re.match(r'(a+)+$', 'a' * 60 + 'b')  # computes for years, holding the lock


@pytest.fixture
def error_of(folder, monkeypatch):
    """Meet a kind of trouble at image 5; the line that explains it, and the seconds."""

    def error_of(kind, timeout=0):
        trouble, real = Trouble(kind), (folder / '005.png').read_bytes()
        decode = unlabeled.decode_image

        def decode_image(data, least_side=0):
            return (trouble if data == real else decode)(data, least_side)

        monkeypatch.setattr('ccmim.data.unlabeled.decode_image', decode_image)
        images = UnlabeledImages(folder, TRANSFORM)
        loader = DataLoader(images, 3, num_workers=2, timeout=timeout)
        start = time.monotonic()
        with pytest.raises(RuntimeError) as error:
            list(loader)
        return explain(error.value, loader), time.monotonic() - start

    return error_of


@pytest.mark.parametrize(
    ('kind', 'why'),
    [
        ('killed', 'often out of memory'),
        ('bus error', 'signal: Bus error; often full shared memory'),
        ('exit', '(exit code 3; )?often out of memory'),
    ],
)
def test_a_killed_worker_is_explained_at_once(error_of, folder, kind, why):
    end_workers()  # as a run before it in this process may have done
    line, seconds = error_of(kind, timeout=20)
    assert re.fullmatch(
        rf'A loader worker was killed \({why}\) while reading '
        rf'{folder}/005.png. Try train_dataloader.num_workers=2 and --resume; '
        r'/dev/shm free: [\d.]+ GB',
        line,
    )
    assert seconds < 5


@pytest.mark.parametrize('kind', ['sleeps', 'computes'])
def test_a_stuck_worker_is_named_when_the_time_is_over(error_of, folder, kind):
    line, seconds = error_of(kind, timeout=1)
    said = 'No batch came for 1 s, the limit of LoaderTimeoutHook while reading '
    assert line == f'{said}{folder}/005.png. Is the disk gone? Resume with --resume'
    assert seconds < 5


def _cram(folder, out):
    """Load in a process whose /dev/shm holds 128 kB; what is said of it."""
    if ctypes.CDLL(None).unshare(0x20000):  # CLONE_NEWNS: mounts of its own
        out.write_text('no mounts')
        return
    small = ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', '/dev/shm']
    for words in (['--make-rprivate', '/'], small):
        subprocess.run(['mount', *words], check=True)
    transform = [dict(type='ccmim.RandomResizedCrop', size=160), TRANSFORM[1]]
    loader = DataLoader(UnlabeledImages(folder, transform), 3, num_workers=1)
    try:
        list(loader)
    except RuntimeError as error:
        out.write_text(explain(error, loader))


@pytest.mark.skipif(os.getuid() != 0, reason='root')
def test_a_small_shared_memory_is_named(folder, tmp_path):
    """As containers have it, here 128 kB for batches of 230 kB."""
    out = tmp_path / 'said.txt'
    fork = multiprocessing.get_context('fork')
    cramped = fork.Process(target=_cram, args=(folder, out))
    cramped.start()
    cramped.join(60)
    if (said := out.read_text()) == 'no mounts':
        pytest.skip('no mounts here')
    full = (
        'The shared memory is full, through which loader workers pass batches: give '
        'the container more, or try train_dataloader.num_workers=0 or a smaller '
        'batch_size, and --resume; /dev/shm free: 0.0 GB'
    )
    # Up to torch 2.6 the worker dies of it.
    died = 'A loader worker was killed (signal: Bus error; often full shared memory)'
    assert said == full or said.startswith(died)


_SCRIPT = """
import re, signal, sys
from torch.utils.data import DataLoader
from ccmim.data import unlabeled
from ccmim.data.loader_errors import end_workers, explain

def never(data, least_side):
    re.match(r'(a+)+$', 'a' * 60 + 'b')

unlabeled.decode_image = never
def deaf(worker):  # as those of StopHook
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

images = unlabeled.UnlabeledImages(sys.argv[1], [])
loader = DataLoader(images, 4, num_workers=2, timeout=1, worker_init_fn=deaf)
try:
    list(loader)
except RuntimeError as error:
    line = explain(error, loader)
    end_workers()
    sys.exit(f'error: {line}')
"""


@pytest.mark.slow
def test_a_process_whose_workers_hang_can_exit(folder):
    """Without ``end_workers`` it would wait for them; and nothing is said after it."""
    done = run(*PYTHON, '-c', _SCRIPT, folder, timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith('error: No batch came for 1 s')


@pytest.mark.parametrize('num_workers', [0, 1])
def test_too_many_bad_images_are_one_line(folder, num_workers):
    for i in range(5):
        (folder / f'{i:03d}.png').write_bytes(b'')
    loader = DataLoader(UnlabeledImages(folder, TRANSFORM), 12, num_workers=num_workers)
    with pytest.raises(TooManyBadImagesError) as error:
        list(loader)
    line = explain(error.value)
    said = '4 of 12 images are damaged, 3 are allowed (max_bad_ratio): '
    assert line.startswith(said)
    assert all(f'{i:03d}.png' in line for i in range(4))
    assert '\n' not in line


class Broken(torch.utils.data.Dataset):
    """A data set with a bug."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        raise RuntimeError('a bug')


def test_other_errors_keep_their_traceback():
    with pytest.raises(RuntimeError) as error:
        list(DataLoader(Broken(), num_workers=1))
    assert explain(error.value, DataLoader(Broken())) is None
    assert explain(ValueError('x')) is None


def test_idle_workers_read_nothing(folder):
    images = UnlabeledImages(folder, TRANSFORM)
    loader = DataLoader(images, 3, num_workers=2, persistent_workers=True)
    list(loader)
    assert images.reading.now() == {}


def test_the_images_inside_other_data_sets_are_found(folder):
    images = UnlabeledImages(folder, TRANSFORM)
    crop = dict(type='ccmim.RandomCropWithBox', size=16)
    placed = ImagesWithCropBox([crop], data=folder)
    assert unlabeled_in(torch.utils.data.Subset(images, [0])) is images
    assert unlabeled_in(placed) is placed._images
    assert unlabeled_in(Broken()) is unlabeled_in(None) is None


def test_fewer_images_than_a_batch_are_refused(folder):
    images = UnlabeledImages(folder, TRANSFORM)
    require_batch(DataLoader(images, 12, drop_last=True))
    require_batch(DataLoader(images, 128))
    text = '^12 images are too few for a batch of 13 in 1 process: set train_data'
    with pytest.raises(ValueError, match=text):
        require_batch(DataLoader(images, 13, drop_last=True))
