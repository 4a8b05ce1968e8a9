"""Print the arguments, ranges and defaults of the parts of a config.

    python tools/print_options.py [NAME ...] [--out docs/options.md]

Of all registered classes of this package, or of those that are named. Ranges are those
of the annotations, by which every config is checked.
"""

import argparse
import inspect
from collections.abc import Iterator
from importlib import import_module
from inspect import Parameter
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from mmengine.registry import Registry

from ccmim import dense, registry
from ccmim.files import Parser, write_file
from ccmim.ranges import arguments_of, describe, is_ours

# Imported by the configs that need them, as they import mmdet or mmseg.
DENSE = [module.name for module in iter_modules(dense.__path__)]
HEAD = """# Options

What the parts of a config take. A value outside of its range ends in one line before
anything is built. `...` stands for an argument that must be given; parts are configs
with a `type`. Written by

```bash
python tools/print_options.py --out docs/options.md
```
"""


def main() -> None:
    """Print, or write the page."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.add_argument('--out', type=Path, help='a file in place of the screen')
    args = parser.parse_args()
    known = dict(classes())
    if unknown := sorted(set(args.names) - known.keys()):
        parser.error(f'{unknown[0]} is no registered class of this package')
    text = page([known[name] for name in args.names or known])
    if args.out:
        write_file(args.out, text)
    else:
        print(text, end='')


def classes() -> list[tuple[str, type]]:
    """List the registered classes by name."""
    for name in DENSE:
        import_module(f'ccmim.dense.{name}')
    by_name: dict[str, type] = {}
    for part in vars(registry).values():
        if isinstance(part, Registry):
            part.import_from_location()
            kinds = filter(is_ours, part.module_dict.values())
            by_name |= {k.__name__: k for k in kinds if inspect.isclass(k)}
    return sorted(by_name.items())


def page(kinds: list[type]) -> str:
    """Write the options of some classes in Markdown."""
    return '\n'.join([HEAD, *(line for kind in kinds for line in _section(kind))])


def _section(kind: type) -> Iterator[str]:
    yield f'## {kind.__name__}\n'
    yield f'{(inspect.getdoc(kind) or "").split(chr(10))[0]}\n'
    hints = arguments_of(kind).hints
    rows = [(n, h) for n, h in hints.items() if h is not Any]
    if not rows:
        return
    yield '| argument | range | default |\n|---|---|---|'
    for name, hint in rows:
        range_ = describe(hint).replace('|', '\\|')
        yield f'| `{name}` | {range_} | {_default(kind, name)} |'
    yield ''


def _default(kind: type, name: str) -> str:
    for owner in kind.__mro__:
        known = inspect.signature(owner.__init__).parameters
        if name in known:
            value = known[name].default
            return '`...`' if value is Parameter.empty else f'`{value!r}`'
    return ''


if __name__ == '__main__':
    main()
