"""Runtime of pretraining on CIFAR-10, with k-NN on a part of its labels as a probe."""

_base_ = 'pretraining.py'
labelled = dict(
    type='LabelledImages',
    transform=[
        dict(type='ResizeCenterCrop', size=None, crop_share=1.0),
        dict(type='ToUint8Tensor'),
    ],
)
cifar10 = '{{$CCMIM_DATA:data}}/cifar10/'
default_hooks = dict(
    probe=dict(
        knn=dict(
            train=dict(labelled, data=cifar10 + 'train', label_share=0.1),
            test=dict(labelled, data=cifar10 + 'test', label_share=0.2),
        )
    )
)
