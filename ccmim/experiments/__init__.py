"""Several runs that make one experiment."""

from ccmim.experiments.budgets import BUDGETS, Budget
from ccmim.experiments.comparison import Arm, Comparison
from ccmim.experiments.contents import content_of
from ccmim.experiments.curves import Point, plot_points, read_points
from ccmim.experiments.plots import plot_scores
from ccmim.experiments.running import StageError, run_stages
from ccmim.experiments.scores import Score, markdown, read_csv, write_csv
from ccmim.experiments.stages import Stage, shown
from ccmim.experiments.table import write_table

__all__ = [
    'BUDGETS',
    'Arm',
    'Budget',
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
