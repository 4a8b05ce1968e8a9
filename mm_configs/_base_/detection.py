"""What every detection run shares besides its model, data and schedule."""

_base_ = './runtime.py'
default_scope = 'mmdet'
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=5000),
    visualization=dict(type='DetVisualizationHook'),
)
log_processor = dict(by_epoch=False)
visualizer = dict(type='DetLocalVisualizer', name='visualizer')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
