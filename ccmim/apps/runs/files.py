"""Files of a run that are safe to read: regular, inside its folder, not too long."""

from pathlib import Path

_MOST_BYTES = 1 << 28


def is_own(file: Path, folder: Path) -> bool:
    """Whether a file can be shown: not by a link to elsewhere, no pipe, no device.

    A report is made to be sent to others, so what a link points to outside of the run's
    folder must not get into it; and reading from a pipe would never end.

    Args:
        file: A path below the folder.
        folder: The folder of a run.
    """
    try:
        real = file.resolve(strict=True)
        return (
            real.is_file()
            and real.is_relative_to(folder.resolve())
            and real.stat().st_size <= _MOST_BYTES
        )
    except (OSError, RuntimeError):  # RuntimeError: a link to itself
        return False


def own_text(file: Path, folder: Path) -> str:
    """Read a text file of a run; empty if it may not or cannot be read."""
    if not is_own(file, folder):
        return ''
    try:
        return file.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''
