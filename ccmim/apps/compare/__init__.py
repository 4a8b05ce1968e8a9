"""Experiments that consist of several runs."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'comparison': ('Arm', 'Comparison'),
        'curves': ('Point', 'plot_points', 'read_points'),
        'plots': ('plot_scores', 'write_table'),
        'running': ('StageError', 'run_stages'),
        'scores': ('Score', 'mean_text', 'read_csv', 'write_csv'),
        'stage_commands': ('content_of',),
        'stages': ('Stage', 'shown'),
        'tables': ('markdown', 'weights_of_images'),
        'gains': ('Gain', 'at_ends', 'find_gains', 'verdict'),
    },
)
