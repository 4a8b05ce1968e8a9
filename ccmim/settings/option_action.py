"""Settings of the command line (``--cfg-options``), taken apart."""

from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction


class OptionAction(DictAction):
    """Read ``KEY=VALUE`` words as mmengine does, but keep the spaces of a value."""

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
            ArgumentError: If a word is no KEY=VALUE, or its brackets do not match.
        """
        for word in values or ():
            key, equals, _ = word.partition('=')
            if not equals or not all(key.split('.')):
                raise ArgumentError(self, f'{word!r} is not of the form KEY=VALUE')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:
            raise ArgumentError(self, str(error)) from None

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        # mmengine removes all spaces, also those in the name of a folder.
        if any(mark in val for mark in '[](),'):
            return DictAction._parse_iterable(val)
        return DictAction._parse_int_float_bool(val.strip('\'"'))
