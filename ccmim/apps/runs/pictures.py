"""Pictures in the folder of a run."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from ccmim.apps.runs.files import is_own

_KINDS = ('.png', '.jpg', '.jpeg')
_PLACE = re.compile(r'(?P<title>.*?)[_-]?(?P<unit>epoch|iter|step)_?(?P<count>\d+)')
_TEST, _OF_HOOK = 'test ', 'pictures'
_OF_BACKEND = re.compile(r'(?P<title>.+)_(?P<count>\d+)')  # mmengine: NAME_STEP.png


class Strip(NamedTuple):
    """One picture, or one that changes while the run continues.

    Attributes:
        title: What it is called.
        frames: Files in their order, each with when it was made; that is empty for a
            picture that stands alone.
    """

    title: str
    frames: list[tuple[str, Path]]


def find_pictures(folder: Path) -> list[Strip]:
    """List the pictures of a run: those that change first, then the others by name.

    Pictures lie in ``pictures/`` of the run or of a session, or where mmengine's local
    backend puts them. ``epoch_10.png`` and ``masks_iter_500.png`` are frames.

    Args:
        folder: The work dir.

    Returns:
        Strips, frames in rising order.
    """
    strips: dict[str, dict[tuple[int, str], Path]] = defaultdict(dict)
    single = []
    for file in sorted(_files(folder)):
        if match := _PLACE.fullmatch(file.stem):
            when = f'{match["unit"]} {int(match["count"])}'
        elif file.parent.name == 'vis_image' and (
            match := _OF_BACKEND.fullmatch(file.stem)
        ):
            # What PictureHook keeps in pictures/ too, and counts by epochs.
            unit = 'epoch' if match['title'] == _OF_HOOK else 'step'
            when = f'{unit} {int(match["count"])}'
        else:
            single.append(Strip(_title(file.stem), [('', file)]))
            continue
        title = _title(match['title']) or _title(file.parent.name)
        strips[title][int(match['count']), when] = file
    moving = []
    for title, by_place in strips.items():
        frames = [(when, by_place[n, when]) for n, when in sorted(by_place)]
        if len(frames) > 1 or not title.startswith(_TEST):
            moving.append(Strip(title, frames))
        else:  # of a test, which has one for each image
            single.append(Strip(title, [('', frames[0][1])]))
    return moving + single


def _files(folder: Path) -> list[Path]:
    roots = [folder / 'pictures', *folder.glob('*/pictures')]
    roots += folder.glob('*/vis_data/vis_image')
    files = {file for root in roots for file in root.rglob('*')}
    pictures = [file for file in files if file.suffix.lower() in _KINDS]
    return [file for file in pictures if is_own(file, folder)]


def _title(stem: str) -> str:
    return stem.replace('_', ' ').strip()
