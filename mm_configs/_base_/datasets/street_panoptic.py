"""Road scenes of CamVid and pedestrians of Penn-Fudan, 495 + 143 photos.

Cars, pedestrians and bicyclists are objects; eight classes of regions are annotated in
CamVid's photos alone. Made by tools/make_panoptic.py.
"""

_base_ = './panoptic_lsj.py'
_base_.train_pipeline[3].update(ratio_range=(0.5, 1.5))
root = '{{$CCMIM_STREET:data/street_panoptic}}/'
things = ('car', 'pedestrian', 'bicyclist')
stuff = (
    *('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol'),
    'fence',
)
metainfo = dict(
    classes=things + stuff,
    thing_classes=things,
    stuff_classes=stuff,
    palette=[
        *((64, 0, 128), (64, 64, 0), (0, 128, 192), (128, 128, 128), (128, 0, 0)),
        *((192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0)),
        *((192, 128, 128), (64, 64, 128)),
    ],
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CocoPanopticDataset',
        data_root=root,
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(img='train/', seg='annotations/panoptic_train/'),
        metainfo=metainfo,
        filter_cfg=dict(min_size=32),
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoPanopticDataset',
        data_root=root,
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(img='val/', seg='annotations/panoptic_val/'),
        metainfo=metainfo,
        test_mode=True,
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoPanopticMetric',
    ann_file=root + 'annotations/panoptic_val.json',
    seg_prefix=root + 'annotations/panoptic_val/',
)
test_evaluator = val_evaluator
