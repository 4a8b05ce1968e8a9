"""Settings that cannot work are found before a run begins."""

from ccmim.settings.arguments import check_arguments
from ccmim.settings.classes import check_classes
from ccmim.settings.command_line import config_parser, parse
from ccmim.settings.errors import clear_errors
from ccmim.settings.options import check_options
from ccmim.settings.sizes import check_sizes
from ccmim.settings.space import check_space
from ccmim.settings.start_hook import StartHook
from ccmim.settings.values import check_values
from ccmim.settings.work_dir import claim_work_dir

__all__ = [
    'StartHook',
    'check_arguments',
    'check_classes',
    'check_options',
    'check_sizes',
    'check_space',
    'check_values',
    'claim_work_dir',
    'clear_errors',
    'config_parser',
    'parse',
]
