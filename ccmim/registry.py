"""Registries of ccmim: children of mmengine's, under the scope ``ccmim``.

A config names a part of ours as ``type='ccmim.NAME'`` from any default scope. mmengine
then imports this module by its name, and the rooms listed in ``locations`` when a name
is first looked up, so that no config needs ``custom_imports`` and ``import ccmim``
stays light.
"""

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

_ROOMS = {
    'MODELS': (
        'vit',
        'masking',
        'losses',
        'decoders',
        'methods',
        'transfer',
    ),
    'DATASETS': ('data',),
    'DATA_SAMPLERS': ('data',),
    'TRANSFORMS': ('data',),
    'HOOKS': ('training',),
    'OPTIM_WRAPPERS': ('training',),
    'OPTIM_WRAPPER_CONSTRUCTORS': ('training',),
}


def _child(name: str) -> Registry:
    parent = getattr(mmengine_registry, name)
    return Registry(
        parent.name,
        parent=parent,
        scope='ccmim',
        locations=[f'ccmim.{room}' for room in _ROOMS[name]],
    )


MODELS = _child('MODELS')
DATASETS = _child('DATASETS')
DATA_SAMPLERS = _child('DATA_SAMPLERS')
TRANSFORMS = _child('TRANSFORMS')
HOOKS = _child('HOOKS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS')
