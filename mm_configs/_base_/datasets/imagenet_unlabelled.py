"""Images without labels: ImageNet-1K's training set, or any other.

``train_dataloader.dataset.data`` takes a folder (searched recursively), a list file,
tar shards, or a list of those. ``tools/check_images.py DATA --out bad_files.txt`` finds
bad images ahead, and ``train_dataloader.dataset.exclude`` leaves out what it lists.
"""

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='VisitSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='UnlabeledImages',
        data='data/imagenet/train',
        # The smallest crop of a photo with this short side still has 224 pixels.
        least_side=600,
        # None: the size is that of the backbone, model.backbone.img_size.
        transform=[
            dict(type='RandomResizedCrop', size=None, scale=(0.2, 1.0)),
            dict(type='RandomHorizontalFlip'),
            dict(type='ToUint8Tensor'),
        ],
    ),
)
