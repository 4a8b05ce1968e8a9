"""The class of an image, from its folder or a list."""

import os
from collections.abc import Sequence
from typing import Protocol

from ccmim.data.folders import data_folders, walk_images
from ccmim.data.paths import printable
from ccmim.data.sources import refuse_root


class Labels(Protocol):
    """The classes of a collection of images.

    Attributes:
        data: What ``open_source`` reads to get all the images.
        classes: Names of the classes, by number.
    """

    data: str | list[str]
    classes: tuple[str, ...]

    def paths(self) -> list[str]:
        """List the images."""

    def of(self, name: str) -> int:
        """Number the class of the image that a source calls ``name``."""


class FolderLabels:
    """Each folder directly below another one is a class, whatever lies deeper in it.

    Args:
        root: The folder with the class folders.
        classes: Names of the class folders, by number; all folders, sorted, when None.

    Raises:
        ValueError: There is no folder in it.
    """

    def __init__(self, root: str, classes: Sequence[str] | None = None) -> None:
        self.data = root
        self.classes = tuple(classes or _folders(root))
        self._numbers = {name: i for i, name in enumerate(self.classes)}
        self._start = printable(os.path.abspath(root)).rstrip('/') + '/'

    def paths(self) -> list[str]:
        """List the images, sorted."""
        return walk_images(self.data)

    def of(self, name: str) -> int:
        """Number the class of an image; ValueError where its folder is no class."""
        folder, inside, _ = name.removeprefix(self._start).partition('/')
        if not inside:
            raise ValueError(f'{name} lies in no class folder: move it into one')
        if folder not in self._numbers:
            raise ValueError(f'{name} lies in {folder!r}, which is not one of classes')
        return self._numbers[folder]


class ListLabels:
    """A text file with one image a line: its path, a blank and its class.

    If all classes are whole numbers they count from 0, else they are names and are
    numbered in sorted order. Empty lines and those that start with ``#`` do not count.

    Args:
        path: The list.
        root: Folder that relative paths start from; that of the list when None.
        classes: Names of the classes, by number.

    Raises:
        ValueError: A line has no class, or one that is not in ``classes``.
    """

    def __init__(
        self,
        path: str,
        root: str | os.PathLike | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        folder = os.path.dirname(path) if root is None else os.fspath(root)
        pairs = _read_pairs(path)
        words = {word for _, word in pairs}
        if all(word.isdecimal() for word in words):
            names = [str(i) for i in range(1 + max(map(int, words)))]
            numbers = {word: int(word) for word in words}
        else:
            names = list(classes or sorted(words))
            numbers = {name: i for i, name in enumerate(names)}
        self.classes = tuple(classes or names)
        for word in words:
            if numbers.get(word, len(self.classes)) >= len(self.classes):
                raise ValueError(
                    f'{printable(path)} has the class {word!r}, which is not one of '
                    f'the {len(self.classes)} in classes'
                )
        self.data = [os.path.join(folder, name) for name, _ in pairs]
        self._numbers = {
            printable(os.path.abspath(name)): numbers[word]
            for name, (_, word) in zip(self.data, pairs, strict=True)
        }

    def paths(self) -> list[str]:
        """List the images in the order of the file."""
        return self.data

    def of(self, name: str) -> int:
        """Number the class of an image of the list."""
        return self._numbers[name]


def open_labels(
    data: str | os.PathLike,
    root: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
) -> Labels:
    """Find out the classes of the images that ``data`` names.

    Args:
        data: A folder with a folder for each class, or a list file (``.txt``).
        root: Folder that relative paths in a list start from; that of the list if None.
        classes: Names of the classes, by number.

    Returns:
        The labels.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is neither, or says of some image no class that is known.
    """
    path = os.path.expanduser(os.fspath(data))
    if not os.path.exists(path):
        raise FileNotFoundError(f'No such folder or list: {os.path.abspath(path)}')
    if os.path.isdir(path):
        if root is not None:
            refuse_root(root)
        return FolderLabels(path, classes)
    if path.endswith('.txt'):
        return ListLabels(path, root, classes)
    raise ValueError(
        f'{printable(path)} is neither a folder with a folder for each class nor a '
        'list file (.txt) with a class behind each path'
    )


def _folders(root: str) -> list[str]:
    folders = data_folders(root)
    if not folders:
        raise ValueError(
            f'No class folders in {printable(root)}: one a class is needed'
        )
    return [printable(name) for name in folders]


def _read_pairs(path: str) -> list[tuple[str, str]]:
    with open(path, 'rb') as file:
        lines = [line.strip() for line in file.read().splitlines()]
    pairs = [line.rsplit(None, 1) for line in lines if line and line[:1] != b'#']
    if not pairs:
        raise ValueError(f'No images in {printable(path)}: the list is empty')
    for pair in pairs:
        if len(pair) < 2:
            alone = printable(os.fsdecode(pair[0]))
            raise ValueError(f'{printable(path)}: no class behind {alone}')
    return [(os.fsdecode(name), printable(os.fsdecode(word))) for name, word in pairs]
