"""What a training run needs: precision, parameter groups, seeding, startup."""

from ccmim.engine.compile import ChannelsLastHook
from ccmim.engine.fully_shard import FullyShard
from ccmim.engine.hooks.bad_files import BadFilesHook
from ccmim.engine.hooks.checkpoint import SafeCheckpointHook
from ccmim.engine.hooks.deferred_log import DeferredRuntimeInfoHook
from ccmim.engine.hooks.feature_watch import FeatureWatchHook
from ccmim.engine.hooks.pictures import PictureHook
from ccmim.engine.hooks.probe import ProbeHook
from ccmim.engine.hooks.progress import ProgressHook, SpeedHook
from ccmim.engine.hooks.score_refresh import ScoreRefreshHook
from ccmim.engine.hooks.vocabulary import VocabularyHook
from ccmim.engine.nonfinite.hook import FiniteHook
from ccmim.engine.optim.autocast import AutocastOptimWrapper
from ccmim.engine.optim.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.engine.optim.part_schedulers import (
    PartConstantLR,
    PartLinearLR,
    PartPolyLR,
)
from ccmim.engine.resume.epoch_loop import ResumableEpochLoop
from ccmim.engine.resume.hook import ResumeHook
from ccmim.engine.resume.step_seed import StepSeedHook
from ccmim.engine.signals.stop_hook import StopHook
from ccmim.engine.signals.worker_signals import LoaderTimeoutHook

__all__ = [
    'AutocastOptimWrapper',
    'BadFilesHook',
    'ChannelsLastHook',
    'DeferredRuntimeInfoHook',
    'FeatureWatchHook',
    'FiniteHook',
    'FullyShard',
    'LayerDecayOptimWrapperConstructor',
    'LoaderTimeoutHook',
    'PartConstantLR',
    'PartLinearLR',
    'PartPolyLR',
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
    'VocabularyHook',
]
