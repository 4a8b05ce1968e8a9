"""Registries of ccmim: children of mmengine's, under the scope ``ccmim``.

A config names a part of ours as ``type='ccmim.NAME'`` from any default scope. mmengine
then imports this module by its name, and the packages listed in ``_PACKAGES`` when a
name is first looked up, so that no config needs ``custom_imports`` and ``import ccmim``
stays light.
"""

import inspect
from collections.abc import Callable
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

from ccmim.lazy import load_all
from ccmim.ranges import checked, is_ours
from ccmim.renamed import new_class

# Where the parts of each kind live; kinds without a package are there because mmengine
# warns when a default scope lacks one.
_PACKAGES = {
    'MODELS': (
        *('vit', 'masking', 'losses', 'heads', 'methods', 'dense'),
        *('classification', 'text'),
    ),
    'DATASETS': ('data', 'classification', 'text'),
    'DATA_SAMPLERS': ('data', 'classification'),
    'TRANSFORMS': ('data', 'classification'),
    'HOOKS': ('engine', 'classification'),
    'LOOPS': ('engine',),
    'METRICS': ('classification',),
    'MODEL_WRAPPERS': ('engine',),
    'OPTIMIZERS': ('classification',),
    'OPTIM_WRAPPERS': ('engine',),
    'OPTIM_WRAPPER_CONSTRUCTORS': ('engine',),
    'PARAM_SCHEDULERS': ('engine',),
    'WEIGHT_INITIALIZERS': ('checkpoints',),
}


class CheckedRegistry(Registry):
    """A registry whose own classes refuse arguments that their annotations exclude.

    Names that were renamed are found; see ``ccmim.renamed``.
    """

    def get(self, key: str) -> Any:
        """Look up a name, including old ones."""
        if isinstance(key, str) and key.startswith('.'):
            return None  # mmengine would import what is relative to nothing
        return super().get(new_class(key) if isinstance(key, str) else key)

    def import_from_location(self) -> None:
        """Import the packages of this registry, the first time all that is in them."""
        first = not self._imported
        super().import_from_location()
        for package in self._locations if first else ():
            load_all(package)

    def _register_module(
        self, module: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        if is_ours(module) and inspect.isclass(module) and '__init__' in vars(module):
            checked(module)
        super()._register_module(module, *args, **kwargs)


def _child(name: str) -> Registry:
    parent = getattr(mmengine_registry, name)
    packages = [f'ccmim.{package}' for package in _PACKAGES.get(name, ('registry',))]
    return CheckedRegistry(
        parent.name, parent=parent, scope='ccmim', locations=packages
    )


DATASETS = _child('DATASETS')
DATA_SAMPLERS = _child('DATA_SAMPLERS')
EVALUATOR = _child('EVALUATOR')
HOOKS = _child('HOOKS')
INFERENCERS = _child('INFERENCERS')
LOG_PROCESSORS = _child('LOG_PROCESSORS')
LOOPS = _child('LOOPS')
METRICS = _child('METRICS')
MODELS = _child('MODELS')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS')
OPTIMIZERS = _child('OPTIMIZERS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS')
RUNNERS = _child('RUNNERS')
RUNNER_CONSTRUCTORS = _child('RUNNER_CONSTRUCTORS')
TASK_UTILS = _child('TASK_UTILS')
TRANSFORMS = _child('TRANSFORMS')
VISBACKENDS = _child('VISBACKENDS')
VISUALIZERS = _child('VISUALIZERS')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS')


def build_part(part: dict[str, Any], **sizes: Any) -> Any:
    """Build a part of a model whose sizes are known from the other parts.

    Args:
        part: Config of the part.
        sizes: Arguments that it gets where its class has them and its config does not,
            or has None.

    Raises:
        ValueError: If its config says another width or patch side.
    """
    kind = MODELS.get(part['type']) if isinstance(part.get('type'), str) else None
    taken = inspect.signature(kind).parameters if kind else {}
    known = {k: v for k, v in sizes.items() if k in taken and v is not None}
    for name, value in known.items():
        if isinstance(value, int) and part.get(name) not in (None, value):
            raise ValueError(
                f'{name}={part[name]!r} of {part["type"]} does not fit the other '
                f'parts, which have {value}: leave it out'
            )
    missing = {k: v for k, v in known.items() if part.get(k) is None}
    return MODELS.build({**part, **missing})
