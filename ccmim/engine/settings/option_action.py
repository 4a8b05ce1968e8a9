"""Parse ``--cfg-options``."""

from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction


class OptionAction(DictAction):
    """Read ``KEY=VALUE`` words as mmengine does, but leave paths as they are.

    ``[a, b]``, ``(a, b)`` and ``a,b`` are a list, a tuple and a list. Without brackets
    around it, a value with a slash is one path, commas and all. What stands in quotes
    is text.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add words to those that were read before.

        Args:
            parser: Whose option this is.
            namespace: What gets the values, as a dict by dotted key.
            values: The words.
            option_string: How the option was written.

        Raises:
            ArgumentError: If a word is no KEY=VALUE, is a dict, or its brackets do not
                match.
        """
        for word in values or ():
            key, equals, _ = word.partition('=')
            if not equals or not all(key.split('.')):
                raise ArgumentError(self, f'{word!r} is not of the form KEY=VALUE')
        try:
            super().__call__(parser, namespace, values, option_string)
        except ValueError as error:
            raise ArgumentError(self, str(error)) from None

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        text = val.strip()
        ends = text[:1] + text[1:][-1:]
        if ends in ("''", '""'):
            return text[1:-1]
        if ends in ('[]', '()'):
            values = [OptionAction._parse_iterable(v) for v in _members(text[1:-1])]
            return tuple(values) if ends == '()' else values
        if text.startswith('dict('):
            raise ValueError(f'{text!r} cannot be given: set KEY.NAME=VALUE for each')
        if len(_members(text)) > 1 and '/' not in text:
            return [OptionAction._parse_iterable(v) for v in _members(text)]
        if text.isdigit() and text != str(int(text)):
            return text  # 007 is a name: a number has no zeros before it
        return DictAction._parse_int_float_bool(text)


def _members(text: str) -> list[str]:
    """Split at the commas that are in no brackets or quotes.

    Raises:
        ValueError: If brackets or quotes are left open.
    """
    members, depth, quote = [''], 0, ''
    for char in text:
        if quote:
            quote = '' if char == quote else quote
        elif char in '\'"' and not members[-1].strip():
            quote = char
        elif char == ',' and not depth:
            members.append('')
            continue
        else:
            depth += (char in '[(') - (char in '])')
            if depth < 0:
                break
        members[-1] += char
    if depth or quote:
        raise ValueError(f'brackets or quotes in {text!r} do not match')
    return members if members[-1].strip() else members[:-1]
