"""ImageNet-1K, or any folder with a folder for each class, augmented for fine-tuning.

Crops, flips and RandAugment (9, 0.5). Tested on the center of 224 of 256 pixels.
"""

data_root = '{{$CCMIM_IMAGENET:data/imagenet}}/'
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='VisitSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='LabeledImages',
        data=data_root + 'train',
        transform=[
            dict(type='RandomResizedCrop', size=None, scale=(0.08, 1.0)),
            dict(type='RandomHorizontalFlip'),
            dict(type='RandAugment', size=None, policy='rand-m9-mstd0.5-inc1'),
            dict(type='ToUint8Tensor'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='VisitSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='LabeledImages',
        data=data_root + 'val',
        transform=[
            dict(type='ResizeCenterCrop', size=None, crop_ratio=224 / 256),
            dict(type='ToUint8Tensor'),
        ],
    ),
)
test_dataloader = val_dataloader
