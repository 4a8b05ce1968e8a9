"""CIFAR-10 without augmentation, each image once: for k-NN."""

_base_ = './cifar10.py'
train_dataloader = dict(
    drop_last=False,
    sampler=dict(shuffle=False),
    dataset=dict(transform=_base_.val_dataloader.dataset.transform),
)
