"""The built-in toy scenes, four categories, without any scaling."""

_base_ = './coco_instance_small.py'
_base_.tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=part, keep_ratio=True) for part in (0.875, 1.0)
]
root = '{{$CCMIM_TOY:work_dirs/toy_scenes}}/'
metainfo = dict(
    classes=(
        'striped_blob',
        'dotted_star',
        'checked_cross',
        'zigzag_crescent',
    ),
    palette=[
        (230, 25, 75),
        (255, 225, 25),
        (0, 210, 170),
        (145, 70, 240),
    ],
)
train = dict(
    data_root=root,
    ann_file='annotations/instances_training.json',
    data_prefix=dict(img='images/training/'),
    metainfo=metainfo,
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs'),
    ],
)
val = dict(
    data_root=root,
    ann_file='annotations/instances_validation.json',
    data_prefix=dict(img='images/validation/'),
    metainfo=metainfo,
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=None, keep_ratio=True),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(
            type='PackDetInputs',
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
        ),
    ],
)
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=root + 'annotations/instances_validation.json')
test_evaluator = val_evaluator
