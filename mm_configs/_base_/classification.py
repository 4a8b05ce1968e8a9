"""What every classification run shares besides its model, data and schedule."""

_base_ = './runtime.py'
default_scope = 'ccmim'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='SyncBuffersHook'),  # one running mean in a probe's batch norm, not many
    dict(type='ClassesHook'),
]
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
val_evaluator = dict(type='TopAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
