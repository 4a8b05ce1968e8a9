"""Read label files: regular ones alone, and every fault in one line."""

import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from ccmim.files import one_line

_DEEP = 'it is nested too deeply'
_LONG = 200  # letters of a parser's own message


class LabelError(ValueError):
    """Labels that cannot be used: one line with file, entry and remedy."""


def regular(file: str | os.PathLike) -> Path:
    """Return the path of a file; reading a pipe or a device would never end.

    Raises:
        LabelError: It is none, or does not exist.
    """
    if not os.path.exists(file):
        raise LabelError(f'annotation file {file} does not exist')
    if not os.path.isfile(file):
        raise LabelError(f'{file} is no regular file: put a copy of the labels there')
    return Path(file)


def read_text(file: str | os.PathLike) -> str:
    """Read a text in UTF-8, with a byte order mark or without.

    Raises:
        LabelError: It is in another encoding, or no regular file.
    """
    try:
        return regular(file).read_text('utf-8-sig')
    except UnicodeDecodeError:
        raise LabelError(f'{file} is no UTF-8: save it as UTF-8') from None


def read_json(file: str | os.PathLike) -> tuple[Any, list[str]]:
    """Read JSON in whatever encoding editors on Windows leave.

    Args:
        file: Path of the file.

    Returns:
        The content, and a note if it is no UTF-8.

    Raises:
        LabelError: It does not exist, or is no JSON.
    """
    data, notes = regular(file).read_bytes(), []
    try:
        # json.detect_encoding knows byte order marks and UTF-16.
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError:
        text = data.decode('latin-1')
        notes.append(f'{file} is no UTF-8 and was read as Latin-1: save it as UTF-8')
    try:
        return json.loads(text), notes
    except RecursionError:
        why = _DEEP
    except ValueError as error:
        why = str(error)
        if not text.strip():
            why = 'it is empty'
        elif text.lstrip()[0] in '[{' and text.rstrip()[-1] not in ']}':
            why = f'it is cut short ({error})'
    raise LabelError(f'annotation file {file} is no JSON: {why}')


def read_yaml(file: str | os.PathLike) -> Any:
    """Read YAML.

    Raises:
        LabelError: It is none, or no regular file.
    """
    try:
        return yaml.safe_load(read_text(file))
    except RecursionError:
        why = _DEEP
    except (yaml.YAMLError, TypeError, ValueError) as error:
        if isinstance(error, LabelError):
            raise
        why = ' '.join(str(error).split())[:_LONG]
    raise LabelError(f'{file} is no YAML: {one_line(why)}')


def read_xml(file: str | os.PathLike) -> ElementTree.Element:
    """Read XML.

    Raises:
        LabelError: It is none, or no regular file.
    """
    try:
        return ElementTree.parse(regular(file)).getroot()
    except (ElementTree.ParseError, LookupError) as error:  # an unknown encoding
        raise LabelError(f'{file} is no XML: {error}') from None
