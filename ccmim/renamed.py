"""Deprecated names in configs, still accepted with a warning.

To rename a registered class or one of its arguments, add a line here: the registries,
the constructors and the checks of a config and of a resume all look it up. Weights of
an older checkpoint are renamed when it is read.
"""

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

# Old name of a class: new name. Both tables are emptied after the next release.
CLASSES = {
    'ColourPerturbation': 'ColorPerturbation',
    'GrowingImages': 'ProgressiveResize',
    'KeepSampler': 'MILANSampler',
    'LabelledImages': 'LabeledImages',
    'NormalisedAttentionScorer': 'NormalizedAttentionScorer',
    'PlacedCrop': 'RandomCropWithBox',
    'PlacedImages': 'ImagesWithCropBox',
    'PublishedSampler': 'CCMIMSampler',
    'Squash': 'Resize',
    'StagedSampler': 'SwitchSampler',
    'ThrowSampler': 'AMTSampler',
    'UnitSampler': 'MaskUnitSampler',
    'UnlabelledImages': 'UnlabeledImages',
}
# New name of a class: old names of its arguments, with the new ones.
_IMAGES = {'max_bad_share': 'max_bad_ratio', 'share': 'fraction'}
ARGUMENTS = {
    'CCMIM': {'decoded_share': 'decoded_ratio'},
    'ColorPerturbation': {'grey_prob': 'gray_prob'},
    'ConMIM': {'slow': 'teacher'},
    'DenseCL': {'slow': 'teacher'},
    'HPM': {'slow': 'teacher'},
    'ImagesWithCropBox': _IMAGES,
    'LabeledImages': {'label_share': 'label_ratio', **_IMAGES},
    'MAE': {'decoded_share': 'decoded_ratio'},
    'ResizeCenterCrop': {'crop_share': 'crop_ratio'},
    'UnlabeledImages': _IMAGES,
}
# What momentum networks were called in checkpoints.
_SLOW = re.compile(r'^((?:module\.)*)slow(?=\.(?:backbone|projector)\b)')


def new_class(name: str) -> str:
    """Return the new name of a registered class, or the name as it is.

    Args:
        name: With or without a scope in front.
    """
    scope, dot, last = name.rpartition('.')
    if last not in CLASSES or scope not in ('', 'ccmim'):
        return name
    _warn(last, CLASSES[last])
    return f'{scope}{dot}{CLASSES[last]}'


def old_names(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package that hands classes out under old names too.

    Args:
        module: Its name.
    """

    def find(name: str) -> Any:
        known = {**CLASSES, 'SlowNetwork': 'EMATeacher'}  # which is not registered
        new = vars(sys.modules[module]).get(known.get(name, ''))
        if new is None:
            raise AttributeError(f'module {module!r} has no attribute {name!r}')
        _warn(name, known[name])
        return new

    return find


def new_arguments(
    kind: str, given: Mapping[str, Any], layered: bool = False
) -> dict[str, Any]:
    """Return the arguments of a class under their new names.

    Args:
        kind: Name of the class, without scope.
        given: By old or new name.
        layered: Whether they come from a config, in which the new name is that of a
            base of ours and what is given by the old one overrides it.

    Raises:
        ValueError: If one is given by both, outside of a config.
    """
    table = ARGUMENTS.get(kind, {})
    arguments = {k: v for k, v in given.items() if k not in table}
    for name in table.keys() & given.keys():
        new, value = table[name], given[name]
        base = arguments.get(new)
        if new in arguments and not layered:
            raise ValueError(f'{kind}: {name} is the old name of {new}')
        _warn(f'{kind}.{name}', new)
        both = isinstance(base, Mapping) and isinstance(value, Mapping)
        arguments[new] = {**base, **value} if both else value
    return arguments


def renamed(node: Any) -> Any:
    """Return nested dicts and lists with the new names of classes and arguments."""
    if isinstance(node, Mapping):
        values = {key: renamed(value) for key, value in node.items()}
        if isinstance(kind := values.get('type'), str):
            values['type'] = new_class(kind)
            kind = values['type'].rpartition('.')[2]
            values = new_arguments(kind, values, layered=True)
        return values
    if type(node) in (list, tuple):
        return type(node)(map(renamed, node))
    return node


def new_weight(name: str) -> str:
    """Return the new name of a weight, or the name as it is."""
    return _SLOW.sub(r'\1teacher', name)


def new_part(name: str) -> str:
    """Return the new name of a network in a checkpoint, or the name as it is."""
    first, dot, rest = name.partition('.')
    if first != 'slow':
        return name
    _warn('slow', 'teacher')
    return f'teacher{dot}{rest}'


def rename_weights(checkpoint: dict[str, Any]) -> None:
    """Give the weights in a checkpoint of ours their new names, in place."""
    states = [checkpoint, *map(checkpoint.get, ('state_dict', 'ema_state_dict'))]
    states += [getattr(state, '_metadata', None) for state in states]
    for state in states:
        if isinstance(state, dict) and any(new_weight(k) != k for k in state):
            items = [(new_weight(name), value) for name, value in state.items()]
            state.clear()
            state.update(items)
    meta = checkpoint.get('meta')
    noted = meta.get('ccmim') if isinstance(meta, dict) else None
    if isinstance(noted, dict) and isinstance(noted.get('parameters'), list):
        noted['parameters'] = [new_weight(str(name)) for name in noted['parameters']]


def _warn(old: str, new: str) -> None:
    text = f'{old} is called {new} now; the old name goes after the next release'
    warnings.warn(text, FutureWarning, stacklevel=3)
