"""Several runs that make one experiment."""

from ccmim.apps.compare.comparison import Arm, Comparison
from ccmim.apps.compare.contents import content_of
from ccmim.apps.compare.curves import Point, plot_points, read_points
from ccmim.apps.compare.plots import plot_scores
from ccmim.apps.compare.running import StageError, run_stages
from ccmim.apps.compare.scores import Score, markdown, read_csv, write_csv
from ccmim.apps.compare.stages import Stage, shown
from ccmim.apps.compare.table import write_table

__all__ = [
    'Arm',
    'Comparison',
    'Point',
    'Score',
    'Stage',
    'StageError',
    'content_of',
    'markdown',
    'plot_points',
    'plot_scores',
    'read_csv',
    'read_points',
    'run_stages',
    'shown',
    'write_csv',
    'write_table',
]
