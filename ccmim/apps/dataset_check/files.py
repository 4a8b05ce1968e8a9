"""Images on the disk: are they there, and of the size that is said?"""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from ccmim.apps.dataset_check.report import Report

_ORIENTATION = 0x0112  # EXIF tag
_ON_ITS_SIDE = 5  # from this value on


def upright_size(file: Path) -> tuple[int, int]:
    """Read width and height of an image, as it is shown, from its header.

    Raises:
        OSError: If it is no image, or cannot be read.
    """
    with Image.open(file) as image:
        turned = image.getexif().get(_ORIENTATION, 1) >= _ON_ITS_SIDE
        return image.size[::-1] if turned else image.size


def check_sizes(
    folder: Path, sizes: Mapping[str, tuple[int, int]], report: Report
) -> None:
    """Check images by their headers.

    Args:
        folder: Where they are.
        sizes: Width and height by file name.
        report: What is found goes here.
    """
    if not folder.is_dir():
        report.problem(f'image folder {folder} does not exist')
        return
    missing, broken, other = [], [], []
    for name, size in tqdm(sizes.items(), desc='images', leave=False, disable=None):
        try:
            found = upright_size(folder / name)
        except FileNotFoundError:
            missing.append(name)
        except (OSError, ValueError):
            broken.append(name)
        else:
            if found != tuple(size):
                of = f'{found[0]} x {found[1]}, not {size[0]} x {size[1]}'
                other.append(f'{name} is {of}')
    report.problem(f'images that are not in {folder}', missing)
    report.problem('images that cannot be read', broken)
    report.problem('images of another size than their annotations say', other)
