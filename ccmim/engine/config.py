"""Read a config as a run sees it, with command-line options and derived sizes.

Light to import: a config can be read and checked without torch.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.utils import import_modules_from_strings

from ccmim.engine.adopt import adopt_readers
from ccmim.engine.hooks.default import add_guarantees
from ccmim.engine.settings.options import check_options, paths_as_texts
from ccmim.engine.settings.sizes import fit_sizes
from ccmim.operators import InstallError


def read_config(
    file: str,
    work_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] | None = None,
    imports: bool = True,
) -> Config:
    """Read a config and apply the settings of the command line.

    Args:
        file: Path of the config.
        work_dir: Where the run writes; by default what the config says, else
            ``work_dirs/NAME_OF_CONFIG``.
        options: Values of ``--cfg-options``, by dotted key.
        backbone: Values of ``model.backbone``, from which sizes that the config leaves
            out are filled in.
        imports: Whether to import what the config names for it. mmdet takes seconds:
            False where nothing is built.

    Returns:
        The config.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be read, or has no place for an option.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(f'config {file} does not exist')
    if not imports:
        _make_logger()
    try:
        cfg = Config.fromfile(file, import_custom_modules=imports)
    except InstallError as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # a config is code: it may raise anything
        text = next(iter(str(error).splitlines()), '')  # mmengine adds all of sys.path
        raise ValueError(
            f'config {file} cannot be read: {type(error).__name__}: {text}'
        ) from error
    add_guarantees(cfg)
    if options:
        options = paths_as_texts(options)
        check_options(cfg, options)
        cfg.merge_from_dict(options)
    if backbone:
        cfg.model.backbone.update(backbone)
    adopt_readers(cfg, imports)
    fit_sizes(cfg)
    drop_absent_workers(cfg)
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'work_dirs/{Path(file).stem}'
    return cfg


def _make_logger() -> None:
    """Make the logger that mmengine writes to while it reads a config.

    It asks torch for the number of the process, and does without it where there is
    none: two seconds for what is 0 in a process that starts nothing.
    """
    asked = ('torch', 'mmengine.dist')
    if sys.modules.keys().isdisjoint(asked):
        sys.modules.update(dict.fromkeys(asked))
        try:
            MMLogger.get_current_instance()
        finally:
            for name in asked:
                del sys.modules[name]


def import_named(cfg: Config) -> None:
    """Import the modules of ``custom_imports``, whose parts are registered then."""
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)


def drop_absent_workers(cfg: Config) -> None:
    """Let ``num_workers=0`` be enough to load in the main process."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or {}
        if not loader.get('num_workers', 1):
            loader.pop('persistent_workers', None)
            loader.pop('prefetch_factor', None)
