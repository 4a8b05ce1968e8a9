"""The available models: each config of mm_configs is a model, named after its file."""

import difflib
import fnmatch
from pathlib import Path

_PROBES = ('knn_', 'linear_')


def home() -> Path:
    """Find the folder that holds ``mm_configs`` and ``tools``.

    Returns:
        The checkout; what the wheel carries, where the package was installed from one.
    """
    package = Path(__file__).parents[1]
    checkout = package.parent
    return checkout if (checkout / 'mm_configs').is_dir() else package / '.mim'


def list_models(pattern: str | None = None) -> list[str]:
    """List the names of the models, sorted; probes and arms of the study are none.

    Args:
        pattern: What a name begins with, ``*`` and ``?`` stand for any text and any
            letter; all models when None.

    Returns:
        Names that ``get_model`` takes, as it takes those of other configs.
    """
    models = sorted(
        name
        for name, file in _configs().items()
        if file.parent.name != 'study' and not name.startswith(_PROBES)
    )
    return fnmatch.filter(models, '*' if pattern is None else f'{pattern}*')


def list_methods() -> list[str]:
    """List the pretraining methods, as the names of their configs begin."""
    configs = home() / 'mm_configs'
    files = [*configs.glob('pretrain/*_vit?.py'), *configs.glob('small/*_vitt.py')]
    return sorted({file.stem.rpartition('_')[0] for file in files})


def config_file(name: str) -> Path:
    """Find the config of a model.

    Args:
        name: One that ``list_models`` lists, or the path of a config.

    Returns:
        The path of the config.

    Raises:
        FileNotFoundError: If it is a path and there is no such file.
        ValueError: If no model is called so.
    """
    configs = _configs()
    if name in configs:
        return configs[name]
    if name.endswith('.py'):
        if not Path(name).is_file():
            raise FileNotFoundError(f'config {name} does not exist')
        return Path(name)
    near = difflib.get_close_matches(name.lower(), configs)
    meant = f': did you mean {" or ".join(near)}?' if near else ''
    raise ValueError(f'no model is called {name!r}{meant} (ccmim.list_models() lists)')


def _configs() -> dict[str, Path]:
    files = (home() / 'mm_configs').glob('[!_]*/*.py')
    return {file.stem: file for file in files}
