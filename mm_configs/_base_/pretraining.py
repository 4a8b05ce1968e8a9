"""What every pretraining run adds to the runtime."""

_base_ = 'runtime.py'
default_scope = 'ccmim'
default_hooks = dict(
    checkpoint=dict(interval=10),
    # With `knn=dict(train=..., test=...)` of labelled images their accuracy as well.
    probe=dict(type='ccmim.ProbeHook', interval=10),
    # Of a run that starts from weights, dense features beside those at the start; with
    # `labels=FOLDER` of maps or masks it keeps the best checkpoint by them.
    feature_watch=dict(type='ccmim.FeatureWatchHook', interval=10),
    pictures=dict(type='ccmim.PictureHook', interval=10),
    bad_files=dict(type='ccmim.BadFilesHook'),
    loader_timeout=dict(type='ccmim.LoaderTimeoutHook', seconds=300),
)
