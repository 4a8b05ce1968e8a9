"""The training images of CIFAR-10 at 32 px, without labels.

They lie in class folders below ``cifar10/train`` in the folder ``CCMIM_DATA``.
"""

_base_ = './imagenet_unlabelled.py'
train_dataloader = dict(
    batch_size=256,
    num_workers=2,
    dataset=dict(data='{{$CCMIM_DATA:data}}/cifar10/train', least_side=0),
)
