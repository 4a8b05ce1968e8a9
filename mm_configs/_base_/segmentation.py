"""What every segmentation run shares besides its model, data and schedule."""

_base_ = './runtime.py'
default_scope = 'mmseg'
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=16000),
    visualization=dict(type='SegVisualizationHook'),
)
log_processor = dict(by_epoch=False)
visualizer = dict(type='SegLocalVisualizer', name='visualizer')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
