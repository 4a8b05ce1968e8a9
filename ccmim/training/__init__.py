"""Precision, parameter groups, seeding, and the start of a run."""

from ccmim.training.autocast import AutocastOptimWrapper
from ccmim.training.bad_files_hook import BadFilesHook
from ccmim.training.checkpoint_hook import SafeCheckpointHook
from ccmim.training.collapse_hook import CollapseHook
from ccmim.training.deferred_log import DeferredRuntimeInfoHook
from ccmim.training.epoch_loop import ResumableEpochLoop
from ccmim.training.finite_hook import FiniteHook
from ccmim.training.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.training.loader_timeout import LoaderTimeoutHook
from ccmim.training.resume_hook import ResumeHook
from ccmim.training.score_refresh_hook import ScoreRefreshHook
from ccmim.training.speed import SpeedHook
from ccmim.training.step_seed import StepSeedHook
from ccmim.training.stop_hook import StopHook

__all__ = [
    'AutocastOptimWrapper',
    'CollapseHook',
    'BadFilesHook',
    'DeferredRuntimeInfoHook',
    'FiniteHook',
    'LayerDecayOptimWrapperConstructor',
    'LoaderTimeoutHook',
    'ResumableEpochLoop',
    'ResumeHook',
    'SafeCheckpointHook',
    'ScoreRefreshHook',
    'SpeedHook',
    'StepSeedHook',
    'StopHook',
]
