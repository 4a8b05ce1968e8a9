"""What some arms hid at the start and at the end of their training."""

import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

_WIDTH = 560  # pixels of one picture
NAME = 'masks.jpg'


def join_pictures(work_dirs: Sequence[Path], file: Path) -> None:
    """Put the first and the last picture that runs drew side by side, a row a run.

    Args:
        work_dirs: Of pretrainings; those without pictures are passed over.
        file: Picture to write; nothing is written if no run drew one.
    """
    rows = []
    for work_dir in work_dirs:
        drawn = sorted((work_dir / 'pictures').glob('epoch_*.png'), key=_epoch)
        if drawn:
            rows.append([_read(drawn[0]), _read(drawn[-1])])
    if not rows:
        return
    heights = [max(picture.height for picture in row) for row in rows]
    sheet = Image.new('RGB', (2 * _WIDTH, sum(heights)), 'white')
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            sheet.paste(picture, (j * _WIDTH, sum(heights[:i])))
    sheet.save(file, quality=88)


def _read(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        height = picture.height * _WIDTH // picture.width
        return picture.convert('RGB').resize((_WIDTH, height), Image.LANCZOS)


def _epoch(file: Path) -> int:
    return int(re.findall(r'\d+', file.stem)[-1])
