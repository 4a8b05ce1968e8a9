"""Checks of settings before a run begins."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'ccmim.engine.hooks.start': ('StartHook',),
        'arguments': ('check_arguments',),
        'batches': ('check_batches',),
        'command_line': ('config_parser', 'parse'),
        'errors': ('clear_errors',),
        'labels': ('SPLITS', 'check_config', 'check_labels'),
        'options': ('check_options', 'paths_as_texts'),
        'recurrence': ('check_recurrence', 'random_parts'),
        'sizes': ('check_captions', 'check_groups', 'check_updates', 'fit_sizes'),
        'space': ('check_space',),
        'work_dir': ('claim_work_dir',),
    },
)
