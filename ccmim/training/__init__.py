"""Precision, parameter groups, seeding, and the start of a run."""

from ccmim.training.autocast import AutocastOptimWrapper
from ccmim.training.deferred_log import DeferredRuntimeInfoHook
from ccmim.training.layer_decay import LayerDecayOptimWrapperConstructor
from ccmim.training.speed import SpeedHook
from ccmim.training.step_seed import StepSeedHook

__all__ = [
    'AutocastOptimWrapper',
    'DeferredRuntimeInfoHook',
    'LayerDecayOptimWrapperConstructor',
    'SpeedHook',
    'StepSeedHook',
]
