"""Old names that a release still takes, with a warning, wherever a config names them.

To rename a registered class or one of its arguments, add a line here: the registries,
the constructors and the checks of a config and of a resume all look it up.
"""

import warnings
from collections.abc import Mapping
from typing import Any

# Old name of a class: new name. Both tables are emptied after the next release.
CLASSES = {
    'GrowingImages': 'ProgressiveResize',
    'KeepSampler': 'MILANSampler',
    'PublishedSampler': 'CCMIMSampler',
    'StagedSampler': 'SwitchSampler',
    'ThrowSampler': 'AMTSampler',
    'UnitSampler': 'MaskUnitSampler',
}
# New name of a class: old names of its arguments, with the new ones.
ARGUMENTS = {
    'CCMIM': {'decoded_share': 'decoded_ratio'},
    'MAE': {'decoded_share': 'decoded_ratio'},
}


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


def new_arguments(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a class under their new names.

    Args:
        kind: Name of the class, without scope.
        given: By old or new name.

    Raises:
        ValueError: If one is given by both.
    """
    table, found = ARGUMENTS.get(kind, {}), {}
    for name, value in given.items():
        if name in table:
            if table[name] in given:
                raise ValueError(f'{kind}: {name} is the old name of {table[name]}')
            _warn(f'{kind}.{name}', table[name])
        found[table.get(name, name)] = value
    return found


def renamed(node: Any) -> Any:
    """Return nested dicts and lists with the new names of classes and arguments."""
    if isinstance(node, Mapping):
        values = {key: renamed(value) for key, value in node.items()}
        if isinstance(kind := values.get('type'), str):
            values['type'] = new_class(kind)
            values = new_arguments(values['type'].rpartition('.')[2], values)
        return values
    if type(node) in (list, tuple):
        return type(node)(map(renamed, node))
    return node


def _warn(old: str, new: str) -> None:
    text = f'{old} is called {new} now; the old name goes after the next release'
    warnings.warn(text, FutureWarning, stacklevel=3)
