"""What an arm hid at the start and at the end of its training."""

import re
from pathlib import Path

from PIL import Image

_WIDTH = 560  # pixels of one picture


def join_pictures(work_dir: Path, file: Path) -> None:
    """Put the first and the last picture that a run drew side by side.

    Args:
        work_dir: Of a pretraining.
        file: Picture to write; nothing is written if the run drew none.
    """
    drawn = sorted((work_dir / 'pictures').glob('epoch_*.png'), key=_epoch)
    if not drawn:
        return
    first, last = _read(drawn[0]), _read(drawn[-1])
    sheet = Image.new('RGB', (2 * _WIDTH, max(first.height, last.height)), 'white')
    sheet.paste(first, (0, 0))
    sheet.paste(last, (_WIDTH, 0))
    sheet.save(file, quality=88)


def _read(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        height = picture.height * _WIDTH // picture.width
        return picture.convert('RGB').resize((_WIDTH, height), Image.LANCZOS)


def _epoch(file: Path) -> int:
    return int(re.findall(r'\d+', file.stem)[-1])
