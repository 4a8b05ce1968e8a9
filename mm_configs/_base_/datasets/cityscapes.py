"""Cityscapes, 19 classes: scale jitter (0.5 to 2), 512 x 1024 crops, color jitter."""

_base_ = './semantic_crops.py'
data_root = '{{$CCMIM_CITYSCAPES:data/cityscapes}}'
_base_.train_pipeline[2].update(scale=(2048, 1024))
_base_.test_pipeline[1].update(scale=(2048, 1024))
train_dataloader = dict(
    batch_size=1,
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader
