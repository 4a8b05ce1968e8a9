"""Precision, parameter groups, seeding, and the start of a run."""

from ccmim.training.autocast import AutocastOptimWrapper
from ccmim.training.bad_files_hook import BadFilesHook
from ccmim.training.channels_last import ChannelsLastHook
from ccmim.training.checkpoint_hook import SafeCheckpointHook
from ccmim.training.collapse_hook import CollapseHook
from ccmim.training.contrast_hook import ContrastAccuracyHook
from ccmim.training.deferred_log import DeferredRuntimeInfoHook
from ccmim.training.epoch_loop import ResumableEpochLoop
from ccmim.training.finite_hook import FiniteHook
from ccmim.training.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.training.loader_timeout import LoaderTimeoutHook
from ccmim.training.picture_hook import PictureHook
from ccmim.training.probe_hook import ProbeHook
from ccmim.training.progress_hook import ProgressHook
from ccmim.training.resume_hook import ResumeHook
from ccmim.training.score_refresh_hook import ScoreRefreshHook
from ccmim.training.speed import SpeedHook
from ccmim.training.step_seed import StepSeedHook
from ccmim.training.stop_hook import StopHook

__all__ = [
    'AutocastOptimWrapper',
    'CollapseHook',
    'BadFilesHook',
    'ChannelsLastHook',
    'ContrastAccuracyHook',
    'DeferredRuntimeInfoHook',
    'FiniteHook',
    'LayerDecayOptimWrapperConstructor',
    'LoaderTimeoutHook',
    'PictureHook',
    'ProbeHook',
    'ProgressHook',
    'ResumableEpochLoop',
    'ResumeHook',
    'SafeCheckpointHook',
    'ScoreRefreshHook',
    'SpeedHook',
    'StepSeedHook',
    'StopHook',
]
