"""Whether a checkpoint is complete and can be resumed."""

import zipfile
from pathlib import Path

from ccmim.checkpoints.safe_load import load_file


def verify_archive(file: str | Path) -> None:
    """Compare every byte of a checkpoint with its checksums.

    ``torch.load`` does not look at them: it reads a flipped bit without a word. Takes a
    fifth of a second for each GiB.

    Args:
        file: A file written by ``torch.save``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(f'checkpoint {file} does not exist')
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(f'checkpoint {file} is damaged ({error})') from None
    if damaged:
        raise ValueError(f'checkpoint {file} is damaged (bad CRC in {damaged})')


def verify_checkpoint(file: str | Path) -> None:
    """Check that a run can go on from a checkpoint.

    Args:
        file: A file written by a run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds code, or lacks a part of a run's state.
    """
    verify_archive(file)
    checkpoint = load_file(file)
    needed = ('state_dict', 'optimizer', 'message_hub', 'meta')
    missing = [part for part in needed if part not in checkpoint]
    if missing:
        raise ValueError(
            f'checkpoint {file} holds no {missing[0]}: no run can go on from it'
        )
