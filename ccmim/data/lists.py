"""List files: the paths of images, one a line."""

import os
import re
from urllib.parse import unquote, urlsplit

from ccmim.data.paths import PathTable, printable
from ccmim.data.remote import is_address

# Comments, spaces, addresses, empty lines: what is not simply a path.
_ODD = re.compile(rb'[#:\s\0](?<!\n)|\n\n')


def local_path(path: str) -> str:
    """Take the path out of a ``file://`` address."""
    # A slash may have been lost in a Path.
    is_file = path.lower().startswith('file:/') and not os.path.lexists(path)
    return unquote(urlsplit(path).path) if is_file else path


def read_list(path: str, root: str | os.PathLike | None) -> list[str]:
    """Read the image paths of a list file; ``#`` starts a line of comment."""
    folder = os.path.dirname(path) if root is None else os.fspath(root)
    with open(path, 'rb') as file:
        lines = [line.strip() for line in file.read().splitlines()]
    names = [
        local_path(os.fsdecode(line)) for line in lines if line and line[:1] != b'#'
    ]
    if not names:
        raise ValueError(f'No images in {printable(path)}: the list is empty')
    if nul := next((name for name in names if '\0' in name), None):
        raise ValueError(f'{printable(path)} is no list of paths: {printable(nul)}')
    if any(is_address(name) for name in names):
        return [n if is_address(n) else os.path.join(folder, n) for n in names]
    paths = [os.path.join(folder, name) for name in names]
    _look_at_first(path, names[0], paths[0])
    return paths


def read_plain_list(path: str, root: str | os.PathLike | None) -> PathTable | None:
    """Read a list of nothing but paths, ten million in seconds; None for others."""
    folder = os.path.dirname(path) if root is None else os.fspath(root)
    with open(path, 'rb') as file:
        text = file.read().strip(b'\n')
    if not text or _ODD.search(text):
        return None
    first = text.partition(b'\n')[0]
    count = 1 + text.count(b'\n')
    absolute = text.startswith(b'/') + text.count(b'\n/')
    if absolute not in (0, count):
        return None
    if not absolute:
        prefix = os.fsencode(os.path.join(folder, ''))
        text = prefix + text.replace(b'\n', b'\n' + prefix)
    table = PathTable.of_lines(text)
    _look_at_first(path, os.fsdecode(first), table[0])
    return table


def _look_at_first(file: str, name: str, path: str) -> None:
    # One look catches a wrong root at once; looking at all would take minutes on a
    # network disk, and single missing files are counted as damaged later.
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{printable(file)} lists {printable(name)}, but '
            f'{printable(os.path.abspath(path))} does not exist; relative '
            'paths start at the list file unless root is given'
        )
