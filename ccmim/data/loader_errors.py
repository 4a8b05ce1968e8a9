"""One-line explanations of data loader errors."""

import multiprocessing
import re
import shutil
import signal
from pathlib import Path

from mmengine.dist import get_world_size
from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from ccmim.data.bad_images import BadPhotoError, TooManyBadImagesError
from ccmim.data.unlabeled import unlabeled_in

_SHARED = Path('/dev/shm')
_SHOWN = 5  # names of images in a message


def explain(error: BaseException, loader: DataLoader | None = None) -> str | None:
    """Explain an error of a data loader and what to do about it.

    Args:
        error: What iterating over the loader raised.
        loader: The loader, to name the images that its workers were at.

    Returns:
        One line; None if it is an error of another kind.
    """
    text = str(error)
    if isinstance(error, TooManyBadImagesError | BadPhotoError):
        return text.strip().splitlines()[-1].partition('Error: ')[2] or text
    if 'DataLoader timed out' in text:
        seconds = re.findall(r'[\d.]+', text)[0]
        return (
            f'No batch came for {float(seconds):g} s, the limit of '
            f'LoaderTimeoutHook{_at(loader)}. Is the disk gone? Resume with --resume'
        )
    if 'unable to allocate shared memory' in text:
        return (
            'The shared memory is full, through which loader workers pass batches: '
            'give the container more, or try train_dataloader.num_workers=0 or a '
            f'smaller batch_size, and --resume{_shared_memory()}'
        )
    if 'DataLoader worker' not in text or 'Traceback' in text:
        return None
    pids = [int(pid) for pid in re.findall(r'\d+', text.partition('pid')[2])]
    # Killed: most often by the kernel. Of PyTorch's two messages the cause alone may
    # name the signal; up to 2.6 a full shared memory is a bus error.
    how = re.search(
        r'signal: (?!Killed)[^.]+|exit code \d+', f'{text} {error.__cause__}'
    )
    why = f'{how[0]}; often' if how else 'often'
    memory = 'full shared memory' if 'Bus error' in why else 'out of memory'
    return (
        f'A loader worker was killed ({why} {memory}){_at(loader, pids)}. Try '
        f'train_dataloader.num_workers=2 and --resume{_shared_memory()}'
    )


def require_batch(loader: DataLoader) -> None:
    """Refuse a loader without a single batch.

    Args:
        loader: A loader that leaves out the rest of the images (``drop_last``).

    Raises:
        ValueError: There are too few images for a batch in each process.
    """
    if not len(loader):
        images, ranks = len(loader.dataset), get_world_size()
        raise ValueError(
            f'{images} images are too few for a batch of {loader.batch_size} in '
            f'{"each of " * (ranks > 1)}{ranks} process{"es" * (ranks > 1)}: set '
            f'train_dataloader.batch_size={max(1, images // ranks)} or less'
        )


def end_workers() -> None:
    """Kill the worker processes of this one, even those that hang.

    This process would wait for them at its exit, with some for ever.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch would raise an error
    signal_handling._SIGCHLD_handler_set = False  # and is to watch the next loader
    for worker in multiprocessing.active_children():
        worker.kill()


def _at(loader: DataLoader | None, pids: list[int] | None = None) -> str:
    images = unlabeled_in(loader.dataset) if loader is not None else None
    if images is None:
        return ''
    at = images.reading.now()
    names = [images.name(i) for pid, i in at.items() if pids is None or pid in pids]
    more = ', ...' if len(names) > _SHOWN else ''
    return f' while reading {", ".join(names[:_SHOWN])}{more}' if names else ''


def _shared_memory() -> str:
    if not _SHARED.is_dir():
        return ''
    return f'; {_SHARED} free: {shutil.disk_usage(_SHARED).free / 1e9:.1f} GB'
