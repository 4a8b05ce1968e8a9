"""100 + 100 photos of COCO 2017, all 80 categories."""

_base_ = './coco_instance_small.py'
root = '{{$CCMIM_DATA:data}}/coco_mini/'
train = dict(
    data_root=root,
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img='train2017/'),
)
val = dict(
    data_root=root,
    ann_file='annotations/instances_val2017.json',
    data_prefix=dict(img='val2017/'),
)
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
