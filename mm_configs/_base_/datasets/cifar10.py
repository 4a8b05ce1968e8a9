"""CIFAR-10 at 32 px with crops and flips; each test image as it is.

``cifar10/train`` and ``cifar10/test`` in the folder ``CCMIM_DATA`` hold a folder for
each class.
"""

_base_ = './imagenet_labelled.py'
root = '{{$CCMIM_DATA:data}}/cifar10/'
train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    dataset=dict(
        data=root + 'train',
        transform=[
            dict(type='RandomResizedCrop', size=None, scale=(0.4, 1.0)),
            dict(type='RandomHorizontalFlip'),
            dict(type='ToUint8Tensor'),
        ],
    ),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data=root + 'test',
        transform=[
            dict(type='ResizeCenterCrop', size=None, crop_ratio=1.0),
            dict(type='ToUint8Tensor'),
        ],
    ),
)
test_dataloader = val_dataloader
