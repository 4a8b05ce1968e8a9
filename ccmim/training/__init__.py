"""Precision, parameter groups, seeding, and the start of a run."""

from ccmim.training.autocast import AutocastOptimWrapper
from ccmim.training.checkpoint_hook import SafeCheckpointHook
from ccmim.training.deferred_log import DeferredRuntimeInfoHook
from ccmim.training.epoch_loop import ResumableEpochLoop
from ccmim.training.finite_hook import FiniteHook
from ccmim.training.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.training.speed import SpeedHook
from ccmim.training.step_seed import StepSeedHook
from ccmim.training.stop_hook import StopHook

__all__ = [
    'AutocastOptimWrapper',
    'DeferredRuntimeInfoHook',
    'FiniteHook',
    'LayerDecayOptimWrapperConstructor',
    'ResumableEpochLoop',
    'SafeCheckpointHook',
    'SpeedHook',
    'StepSeedHook',
    'StopHook',
]
