"""Several runs that make one experiment."""

from ccmim.experiments.stages import Stage, StageError, run_stages, shown

__all__ = ['Stage', 'StageError', 'run_stages', 'shown']
