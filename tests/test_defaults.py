"""What the library takes unless told otherwise, and its numbers, are as recorded.

An intended change is recorded with ``CCMIM_RECORD=1``, and so is what is new.
"""

import inspect
import os
import pkgutil
from importlib import import_module
from pathlib import Path

import ccmim

FILE = Path(__file__).parent / 'golden/defaults.txt'
ROOMS = (
    *('vit', 'checkpoints', 'masking', 'teachers', 'losses', 'heads', 'methods'),
    *('data', 'evaluation', 'apps.compare'),
)


def _callables(module):
    for name, found in vars(module).items():
        own = getattr(found, '__module__', '') == module.__name__
        if own and not name.startswith('_'):
            if inspect.isclass(found):
                yield name, found
                for part, method in vars(found).items():
                    if inspect.isfunction(method) and not part.startswith('_'):
                        yield f'{name}.{part}', method
            elif inspect.isfunction(found):
                yield name, found


def _defaults(found):
    try:
        given = inspect.signature(found).parameters.values()
    except ValueError:  # of what is written in C
        return []
    return [(p.name, p.default) for p in given if p.default is not p.empty]


def _told():
    for room in ROOMS:
        folder = f'{ccmim.__path__[0]}/{room.replace(".", "/")}'
        for module in sorted(m.name for m in pkgutil.iter_modules([folder])):
            there = import_module(f'ccmim.{room}.{module}')
            for name, found in _callables(there):
                for argument, value in _defaults(found):
                    if isinstance(value, bool | int | float | str | tuple | None):
                        yield f'{room}.{module}.{name} {argument}={value!r}\n'
            for name, value in vars(there).items():
                if name.isupper() and type(value) in (int, float):
                    yield f'{room}.{module} {name}={value!r}\n'


def test_defaults_are_those_recorded():
    told = [*_told()]
    if os.environ.get('CCMIM_RECORD'):
        FILE.write_text(''.join(told))
    recorded = FILE.read_text().splitlines(keepends=True)
    assert [line for line in recorded if line not in told] == []
