"""What a training run needs: precision, parameter groups, seeding, startup."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'compile': ('ChannelsLastHook',),
        'fully_shard': ('FullyShard',),
        'hooks.bad_files': ('BadFilesHook',),
        'hooks.checkpoint': ('SafeCheckpointHook',),
        'hooks.deferred_log': ('DeferredRuntimeInfoHook',),
        'hooks.feature_watch': ('FeatureWatchHook',),
        'hooks.pictures': ('PictureHook',),
        'hooks.probe': ('ProbeHook',),
        'hooks.progress': ('ProgressHook', 'SpeedHook'),
        'hooks.score_refresh': ('ScoreRefreshHook',),
        'hooks.vocabulary': ('VocabularyHook',),
        'nonfinite.hook': ('FiniteHook',),
        'optim.autocast': ('AutocastOptimWrapper',),
        'optim.layer_decay': ('LayerDecayOptimWrapperConstructor',),
        'optim.part_schedulers': ('PartConstantLR', 'PartLinearLR', 'PartPolyLR'),
        'resume.epoch_loop': ('ResumableEpochLoop',),
        'resume.hook': ('ResumeHook',),
        'resume.step_seed': ('StepSeedHook',),
        'signals.stop_hook': ('StopHook',),
        'signals.worker_signals': ('LoaderTimeoutHook',),
    },
)
