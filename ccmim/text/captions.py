"""Read captions from files, or make sentences about classes."""

import csv
import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ccmim.classification.labels import open_labels
from ccmim.data.paths import log_message, printable

# Short, as those of the published zero-shot test, and our own.
TEMPLATES = (
    *('a photo of a {}.', 'a picture of a {}.', 'a small photo of the {}.'),
    *('a blurry photo of a {}.', 'a close-up of a {}.', 'a cropped photo of the {}.'),
    *('there is a {} in the image.', '{}'),
)
_IMAGES = ('image', 'file_name', 'filename', 'filepath', 'path')
_TEXTS = ('caption', 'text', 'title', 'comment')


def read_captions(file: str | os.PathLike) -> dict[str, list[str]]:
    """Read a file of captions.

    Args:
        file: COCO's annotations (``.json``), or a table with a line of titles, commas
            (``.csv``, ``.txt``) or tabs (``.tsv``) between the columns, of which one is
            called image, file_name, filename, filepath or path and another one
            caption, text, title or comment. Images may come several times.

    Returns:
        The captions of each image, by its path as it stands there. Captions without
        words are left out, and images that have no other, which the log reports.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its format is unknown, or it holds no caption.
    """
    path = os.path.expanduser(os.fspath(file))
    if not os.path.isfile(path):
        raise FileNotFoundError(f'No such file of captions: {os.path.abspath(path)}')
    read = _read_coco if path.endswith('.json') else _read_table
    captions: dict[str, list[str]] = {}
    try:
        for image, caption in read(path):
            texts = captions.setdefault(image, [])
            if caption.strip():
                texts.append(' '.join(caption.split()))
    except UnicodeDecodeError as error:
        raise ValueError(f'{printable(path)} is no UTF-8: save it as UTF-8') from error
    except (csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f'{printable(path)} is no file of captions: {error}; export it again'
        ) from error
    silent = [image for image, texts in captions.items() if not texts]
    if silent:
        log_message(
            f'{len(silent)} of {len(captions)} images in {printable(path)} have no '
            f'caption and are left out, such as {printable(silent[0])}',
            logging.WARNING,
        )
    captions = {image: texts for image, texts in captions.items() if texts}
    if not captions:
        raise ValueError(f'{printable(path)} has no caption with a word in it')
    return captions


def class_sentences(
    data: str | os.PathLike, templates: Sequence[str], root: str | os.PathLike | None
) -> dict[str, list[str]]:
    """Say of each image of a labeled collection of which class it is.

    Args:
        data: A folder with a folder for each class, or a list file.
        templates: Sentences with ``{}`` where the class stands.
        root: Folder that relative paths of a list start from.

    Returns:
        The sentences of each image, by its path.
    """
    check_templates(templates)
    labels = open_labels(data, root)
    of_class = [[t.format(spoken(c)) for t in templates] for c in labels.classes]
    paths = labels.paths()
    return {p: of_class[labels.of(printable(os.path.abspath(p)))] for p in paths}


def spoken(name: str) -> str:
    """Write the name of a class as people say it."""
    return ' '.join(name.replace('_', ' ').split())


def check_templates(templates: Sequence[str]) -> None:
    """Refuse templates that have no place for a class.

    Raises:
        ValueError: Naming the first one.
    """
    for template in templates:
        if template.count('{}') != 1:
            raise ValueError(f'templates={template!r} must have one {{}} for the class')


def find_columns(titles: str) -> tuple[int, int] | None:
    """Find the columns of images and captions in the first line of a table.

    Returns:
        Their numbers; None if one of them is missing.
    """
    separator = '\t' if '\t' in titles else ','
    row = [
        title.strip().lower()
        for title in next(csv.reader([titles], delimiter=separator), [])
    ]
    image, caption = (
        next((row.index(name) for name in names if name in row), None)
        for names in (_IMAGES, _TEXTS)
    )
    return None if image is None or caption is None else (image, caption)


def _read_table(path: str) -> list[tuple[str, str]]:
    with open(path, encoding='utf-8-sig', newline='') as lines:
        first = lines.readline()
        columns = find_columns(first)
        if columns is None:
            raise ValueError(
                f'{printable(path)} begins with {printable(first.strip()[:60])!r}: its '
                f'first line must name the columns, one of {", ".join(_IMAGES)} and '
                f'one of {", ".join(_TEXTS)}'
            )
        image, caption = columns
        width = max(columns) + 1
        # Not strict, a quote without its partner would swallow the lines behind it.
        separator = '\t' if '\t' in first else ','
        rows = csv.reader(lines, delimiter=separator, strict=True)
        return [
            (row[image], row[caption] if len(row) >= width else '')
            for row in rows
            if len(row) > image and row[image].strip()
        ]


def _read_coco(path: str) -> list[tuple[str, str]]:
    with open(path, encoding='utf-8-sig') as file:
        content: Any = json.load(file)
    try:
        images = [(image['id'], image['file_name']) for image in content['images']]
        pairs = [(x['image_id'], x['caption']) for x in content['annotations']]
        counts = Counter(number for number, _ in images)
    except (KeyError, TypeError) as error:
        what = f'{error} is missing in images or annotations'
        if not isinstance(error, KeyError):
            what = 'it must be a dict with lists called images and annotations'
        raise ValueError(
            f'{printable(path)} is no file of captions as COCO has them: {what}'
        ) from error
    texts = [text for _, text in (*images, *pairs)]
    fault = ''
    if twice := [number for number, count in counts.items() if count > 1]:
        fault = f'several images have the id {twice[0]!r}: give each its own'
    elif lost := [number for number, _ in pairs if number not in counts]:
        fault = f'a caption is of image_id {lost[0]!r}, which no image has'
    elif odd := [text for text in texts if not isinstance(text, str)]:
        fault = f'file_name and caption must be texts, not {odd[0]!r}'
    if fault:
        raise ValueError(f'{printable(path)}: {fault}')
    names = dict(images)
    return [*((name, '') for _, name in images), *((names[n], c) for n, c in pairs)]
