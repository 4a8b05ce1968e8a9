"""Runtime of pretraining on CIFAR-10, with k-NN on a part of its labels as a probe."""

_base_ = 'pretraining.py'
labelled = dict(
    type='LabeledImages',
    transform=[
        dict(type='ResizeCenterCrop', size=None, crop_ratio=1.0),
        dict(type='ToUint8Tensor'),
    ],
)
cifar10 = '{{$CCMIM_DATA:data}}/cifar10/'
default_hooks = dict(
    probe=dict(
        knn=dict(
            train=dict(labelled, data=cifar10 + 'train', label_ratio=0.1),
            test=dict(labelled, data=cifar10 + 'test', label_ratio=0.2),
        )
    )
)
