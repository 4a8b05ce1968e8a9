"""Pedestrians of Penn-Fudan, 128 + 42 photos in COCO's layout."""

_base_ = './coco_instance_small.py'
root = '{{$CCMIM_DATA:data}}/penn_fudan/'
train = dict(
    data_root=root,
    ann_file='annotations/instances_train.json',
    data_prefix=dict(img='train/'),
    metainfo=dict(classes=('person',), palette=[(220, 20, 60)]),
)
val = dict(
    data_root=root,
    ann_file='annotations/instances_val.json',
    data_prefix=dict(img='val/'),
    metainfo=dict(classes=('person',), palette=[(220, 20, 60)]),
)
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=root + 'annotations/instances_val.json')
test_evaluator = val_evaluator
