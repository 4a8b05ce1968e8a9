"""What every classification run shares besides its model, data and schedule."""

_base_ = './runtime.py'
default_scope = 'ccmim'
default_hooks = dict(
    # One running mean in a probe's batch norm, not many.
    sync_buffers=dict(type='SyncBuffersHook'),
    classes=dict(type='ClassesHook'),
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
val_evaluator = dict(type='TopAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
