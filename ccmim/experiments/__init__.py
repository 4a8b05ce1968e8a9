"""Several runs that make one experiment."""

from ccmim.experiments.running import StageError, run_stages
from ccmim.experiments.stages import Stage, shown

__all__ = ['Stage', 'StageError', 'run_stages', 'shown']
