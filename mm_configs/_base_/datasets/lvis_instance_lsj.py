"""LVIS v1, 1203 classes on COCO's photos, with large-scale jitter on 1024 x 1024.

Photos of rare classes are repeated (threshold 0.001). A photo's annotations name only
some of the classes that are not in it: see `FederatedLoss`.
"""

_base_ = './instance_lsj.py'
data_root = '{{$CCMIM_LVIS:data/lvis_v1}}/'
val_file = 'annotations/lvis_v1_val.json'
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ClassBalancedDataset',
        oversample_thr=1e-3,
        dataset=dict(
            type='LVISV1Dataset',
            data_root=data_root,
            ann_file='annotations/lvis_v1_train.json',
            data_prefix=dict(img=''),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=_base_.train_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='LVISV1Dataset',
        data_root=data_root,
        ann_file=val_file,
        data_prefix=dict(img=''),
        test_mode=True,
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='LVISMetric', ann_file=data_root + val_file, metric=['bbox', 'segm']
)
test_evaluator = val_evaluator
tta_model = dict(max_per_img=300)
