"""Checks of settings before a run begins."""

from ccmim.engine.hooks.start import StartHook
from ccmim.engine.settings.arguments import check_arguments
from ccmim.engine.settings.batches import check_batches
from ccmim.engine.settings.command_line import config_parser, parse
from ccmim.engine.settings.errors import clear_errors
from ccmim.engine.settings.labels import SPLITS, check_config, check_labels
from ccmim.engine.settings.options import check_options, paths_as_texts
from ccmim.engine.settings.sizes import (
    check_captions,
    check_groups,
    check_updates,
    fit_sizes,
)
from ccmim.engine.settings.space import check_space
from ccmim.engine.settings.work_dir import claim_work_dir

__all__ = [
    'StartHook',
    'SPLITS',
    'check_arguments',
    'check_batches',
    'check_captions',
    'check_groups',
    'check_config',
    'check_labels',
    'check_options',
    'check_space',
    'check_updates',
    'claim_work_dir',
    'clear_errors',
    'config_parser',
    'fit_sizes',
    'parse',
    'paths_as_texts',
]
