"""Check photos: present, readable, and of the stated size."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from PIL import Image

from ccmim.data.folders import walk_data
from ccmim.data.paths import is_image_name, printable
from ccmim.labels.report import Report
from ccmim.progress import progress

_ORIENTATION = 0x0112  # EXIF tag
_ON_ITS_SIDE = 5  # from this value on
_ENDS = {b'\xff\xd8': b'\xff\xd9', b'\x89PNG': b'IEND'}  # JPEG, PNG
_TAIL = 65536  # bytes in which the end must lie: cameras append previews


def stored_size(file: Path) -> tuple[tuple[int, int], int]:
    """Read width and height as stored, and the EXIF orientation, from the header.

    Raises:
        OSError: If it is no image, or cannot be read.
    """
    if not os.path.isfile(file):  # a pipe would never end
        raise FileNotFoundError(file)
    try:
        with Image.open(file) as image:
            return image.size, image.getexif().get(_ORIENTATION, 1)
    except OSError:
        raise
    except Exception as error:  # PIL raises nearly anything on damaged bytes
        raise OSError(f'{file}: {error}') from None


def upright_size(file: Path) -> tuple[int, int]:
    """Read width and height of an image, as it is shown, from its header.

    Raises:
        OSError: If it is no image, or cannot be read.
    """
    size, orientation = stored_size(file)
    return size[::-1] if orientation >= _ON_ITS_SIDE else size


def is_cut(file: Path) -> bool:
    """Return whether the end of a JPEG or PNG is missing; others are not looked at."""
    with open(file, 'rb') as opened:
        start = opened.read(4)
        opened.seek(max(0, os.path.getsize(file) - _TAIL))
        tail = opened.read()
    end = next((e for known, e in _ENDS.items() if start.startswith(known)), b'')
    return end not in tail


def is_sound(file: str | os.PathLike) -> bool:
    """Return whether the header and the end of an image are intact."""
    try:
        upright_size(Path(file))
        return not is_cut(Path(file))
    except (OSError, ValueError):
        return False


def find_photo(folder: str | os.PathLike, name: str) -> str:
    """Join a folder with a name as annotation files give it.

    Windows writes backslashes, and macOS stores accents as letters of their own: both
    are other names to Linux.

    Args:
        folder: Where the photos are.
        name: Of the photo.

    Returns:
        The path of the photo; where there is none, that of the name as it is.
    """
    plain = os.path.join(folder, name)
    if os.path.exists(plain):
        return plain
    turned = name.replace('\\', '/')
    for form in ('NFC', 'NFD'):
        path = os.path.join(folder, unicodedata.normalize(form, turned))
        if os.path.exists(path):
            return path
    return plain


def check_sizes(
    folder: Path,
    sizes: Mapping[str, tuple[int, int]],
    report: Report,
    is_turned: bool = True,
) -> None:
    """Check images by their headers and ends.

    Args:
        folder: Where they are.
        sizes: Width and height by file name.
        report: What is found goes here.
        is_turned: Whether training turns them as their EXIF entry says.
    """
    if not folder.is_dir():
        report.problem(f'image folder {folder} does not exist')
        return
    faults, bad = defaultdict(list), []
    for name, size in progress(sizes.items(), 'Checking', len(sizes), 'images'):
        file = Path(find_photo(folder, name))
        try:
            stored, orientation = stored_size(file)
            cut = is_cut(file)
        except FileNotFoundError:
            faults[f'images that are not in {folder}'].append(name)
            continue
        except (OSError, ValueError):
            bad.append(f'{name}: cannot be read')
            continue
        if cut:
            bad.append(f'{name}: cut short')
        on_side = orientation >= _ON_ITS_SIDE
        shown = stored[::-1] if on_side and is_turned else stored
        if shown == tuple(size):
            if 1 < orientation < _ON_ITS_SIDE and is_turned:
                report.heed(
                    'images that EXIF turns round or mirrors: annotations are taken to '
                    'be those of the upright picture',
                    name,
                )
            continue
        of = f'{name} is {shown[0]} x {shown[1]}, not {size[0]} x {size[1]}'
        if on_side and shown[::-1] == tuple(size):
            way = 'color_ignore_orientation' if is_turned else 'color'
            faults[
                'images that EXIF turns on their side, other than their annotations: '
                f"set LoadImageFromFile(color_type='{way}')"
            ].append(of)
        else:
            faults['images of another size than their annotations say'].append(of)
    report.damaged(bad, len(sizes))
    missing = f'images that are not in {folder}'
    if missing in faults and (hint := _where(folder, faults[missing][0])):
        faults[f'{missing} (but in {hint})'] = faults.pop(missing)
    for fault, names in faults.items():
        report.problem(fault, names)


def same_files(
    one: Sequence[str], other: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Find files whose bytes are those of another one.

    Args:
        one: Paths.
        other: Paths that are compared with these; with each other when None.

    Returns:
        Pairs: a path of ``one``, and one that has the same bytes.
    """
    paths = dict.fromkeys([*one, *(other or ())])
    sizes = {path: os.path.getsize(path) for path in paths if os.path.isfile(path)}
    often, first, pairs = Counter(sizes.values()), {}, []
    for i, path in enumerate([*one, *(other or ())]):
        if often[sizes.get(path)] < 2:
            continue
        key = blake2b(Path(path).read_bytes()).digest()
        known = first.get(key)
        if known not in (None, path) and (other is None or i >= len(one)):
            pairs.append((known, path))
        elif other is None or i < len(one):
            first.setdefault(key, path)
    return pairs


def images_below(folder: str | os.PathLike) -> list[str]:
    """List the images below a folder, relative to it and sorted.

    Hidden ones are left out, and what runs have written.
    """
    names = []
    for root, files in walk_data(os.fspath(folder)):
        names += [
            os.path.relpath(os.path.join(root, name), folder)
            for name in files
            if is_image_name(name)
        ]
    return sorted(names)


def _where(folder: Path, name: str) -> str | None:
    """Find where a photo lies that is not where it should, near the folder."""
    base = name.replace('\\', '/').rpartition('/')[2]
    if len(base) > 255 or '\0' in base or set(base) & set('*?['):
        return None
    for near in (folder, folder.parent):
        for file in near.glob(f'**/{base}') if base else ():
            if file.is_file():
                return printable(str(file.parent))
    stem = base.rpartition('.')[0]
    other = next((p for p in folder.glob(f'{stem}.*') if stem), None)
    return f'{printable(str(other))}' if other else None
