"""Whether a checkpoint is complete and can be resumed."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ccmim.checkpoints.finite import first_fault
from ccmim.checkpoints.safe_load import load_file
from ccmim.checkpoints.shards import files_of
from ccmim.checkpoints.structure import odd_entry


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
    """Check that a run can resume from a checkpoint.

    Args:
        file: A file written by a run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds code, or lacks a part of a run's state.
    """
    for one in files_of(file):
        verify_archive(one)
    checkpoint = load_file(file)
    needed = ('state_dict', 'optimizer', 'message_hub', 'meta')
    missing = [part for part in needed if part not in checkpoint]
    if missing:
        raise ValueError(
            f'checkpoint {file} holds no {missing[0]}, which a resume needs: start a '
            'new run from its weights (load_from)'
        )
    try:
        fault = _fault(checkpoint)
    except RuntimeError as error:  # such as too large a tensor, of few values repeated
        fault = str(error).split('\n')[0]
    if fault:
        raise ValueError(f'checkpoint {file} cannot be resumed: {fault}')


def _fault(checkpoint: Mapping[str, Any]) -> str | None:
    """Describe content that no run can have written; None if there is none."""
    if fault := odd_entry(checkpoint) or first_fault(checkpoint['state_dict']):
        return fault
    for number, moments in checkpoint['optimizer'].get('state', {}).items():
        if fault := first_fault(moments):
            return f'of parameter {number}, {fault}'
        for name, value in moments.items():
            squares_or_step = name.endswith(('exp_avg_sq', 'square_avg', 'step'))
            if squares_or_step and isinstance(value, Tensor) and (value < 0).any():
                return f'of parameter {number}, {name} is negative'
    return None
