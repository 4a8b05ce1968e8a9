"""mmcv's operators without a compiler: those of torchvision where mmcv has none.

mmdet and mmseg import ``mmcv.ops``, which needs the extension module ``mmcv._ext``. A
plain ``pip install`` leaves it out, as it takes a C++ compiler and up to an hour.
`install` lets the import system find torchvision's operators in its place, and a
``panopticapi`` where there is none. It is called by ``import ccmim``, so it imports
neither torch nor torchvision itself.
"""

import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from ccmim.operators.late_transformers import IMPORTER, WithoutTransformers

VARIABLE = 'CCMIM_OPS'

BUILD = 'bash tools/install.sh --compiled-ops'
_EXTENSION = 'mmcv._ext'
_SERVED = Path(__file__).with_name('from_torchvision.py')
_PANOPTIC = Path(__file__).with_name('panopticapi.py')
_PANOPTIC_NAMES = tuple(f'panopticapi{part}' for part in ('', '.utils', '.evaluation'))


class InstallError(RuntimeError):
    """Something that is installed is missing a part or does not fit the rest.

    No ImportError: mmdet and mmengine take that for an optional library, and continue.
    """


def install() -> None:
    """Make ``mmcv._ext`` importable.

    The variable ``CCMIM_OPS`` chooses:

    - not set: a compiled one where mmcv has it, else torchvision's operators;
    - ``torchvision``: these even if mmcv has compiled ones;
    - ``mmcv``: the compiled ones, or an error.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def needs_contiguous_maps() -> bool:
    """Whether mmcv's RoIAlign is its own, which ignores the strides of the maps."""
    extension = sys.modules.get(_EXTENSION)
    return getattr(extension, '__file__', None) != str(_SERVED)


def fitting_torchvision() -> str:
    """What pip is to be given for the torchvision that belongs to this torch."""
    major, minor = _version('torch').split('.')[:2]
    # torch 2.0 came with torchvision 0.15, and both have advanced in step.
    return f'torchvision==0.{int(minor) + 15}.*' if major == '2' else 'torchvision'


def _version(package: str) -> str:
    from importlib.metadata import version  # a third of `import ccmim`

    return version(package)


def one_line(error: BaseException) -> str:
    """What to say of an `InstallError` or of torchvision missing; else nothing."""
    if isinstance(error, InstallError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name == 'torchvision':
        return f'torchvision is not installed: pip install "{fitting_torchvision()}"'
    return ''


class _Finder(MetaPathFinder):
    """Finds ``mmcv._ext``, and torchvision so as to explain why it does not load.

    Of mmengine, it finds what would import transformers.
    """

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname in _PANOPTIC_NAMES:
            return _find_panoptic(fullname, path)
        if fullname not in (_EXTENSION, 'torchvision', IMPORTER):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if fullname == IMPORTER:
            if spec is not None:
                spec.loader = WithoutTransformers(spec.loader)
            return spec
        if fullname == _EXTENSION:
            spec = _choose(spec)
        elif spec is None:
            _end_in_one_line()
        if spec is not None:
            spec.loader = _Explained(spec.loader)
        return spec


def _find_panoptic(fullname: str, path) -> ModuleSpec | None:
    if spec := PathFinder.find_spec(fullname, path):
        return spec
    # A package, so that its modules are asked for; all three are one file.
    inside = [] if fullname == 'panopticapi' else None
    return spec_from_file_location(
        fullname, _PANOPTIC, submodule_search_locations=inside
    )


def _choose(compiled: ModuleSpec | None) -> ModuleSpec | None:
    choice = os.environ.get(VARIABLE, '')
    if choice not in ('', 'torchvision', 'mmcv'):
        raise _error(f'{VARIABLE}={choice} is unknown: set it to torchvision or mmcv')
    if choice == 'mmcv' and compiled is None:
        raise _error(
            f'{VARIABLE}=mmcv, but mmcv has no compiled operators: build them by '
            + BUILD
        )
    if choice != 'torchvision' and compiled is not None:
        return compiled
    loader = SourceFileLoader(_EXTENSION, str(_SERVED))
    return spec_from_file_location(_EXTENSION, _SERVED, loader=loader)


class _Explained(Loader):
    """A loader whose failures say what does not fit and how to mend it."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __getattr__(self, name: str):
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        try:
            return self.loader.create_module(spec)
        except (ImportError, OSError) as error:  # of the dynamic linker
            raise _explain(spec.name, error) from error

    def exec_module(self, module: ModuleType) -> None:
        try:
            self.loader.exec_module(module)
        except (RuntimeError, ImportError, OSError) as error:
            raise _explain(module.__name__, error) from error
        # It has done its work: nobody else need meet it.
        module.__loader__ = module.__spec__.loader = self.loader


def _explain(name: str, error: Exception) -> Exception:
    text = str(error)
    if name == _EXTENSION and '.so' in text.partition(':')[0]:
        return _error(
            "mmcv's compiled operators do not fit this torch: set "
            f'{VARIABLE}=torchvision, or build them again by {BUILD}'
        )
    if 'torchvision::' in text or 'CUDA major versions' in text:
        versions = [_version(name) for name in ('torchvision', 'torch')]
        return _error(
            f'torchvision {versions[0]} does not fit torch {versions[1]}: '
            f'pip install "{fitting_torchvision()}"'
        )
    if one_line(error):
        _end_in_one_line()
    return error


def _error(text: str) -> InstallError:
    _end_in_one_line()
    return InstallError(text)


def _end_in_one_line() -> None:
    """Spare a script the traceback of a fault that no script can mend."""
    before = sys.excepthook
    if getattr(before, '__module__', '') == __name__ or os.environ.get('CCMIM_DEBUG'):
        return

    def say(kind, error, trace) -> None:
        if line := one_line(error):
            print(f'error: {line}', file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = say
