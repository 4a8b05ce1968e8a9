"""ImageNet-1K with crops and flips only, 512 images a process: for linear probes."""

_base_ = './imagenet_labelled.py'
train_dataloader = dict(
    batch_size=512,
    dataset=dict(
        transform=[
            dict(type='RandomResizedCrop', size=None, scale=(0.08, 1.0), one_draw=True),
            dict(type='RandomHorizontalFlip'),
            dict(type='ToUint8Tensor'),
        ]
    ),
)
