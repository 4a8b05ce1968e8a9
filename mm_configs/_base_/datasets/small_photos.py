"""The training photos of all small sets, without labels, at 128 px.

1,595 photos: imagenet_sample and the training images of coco_mini, penn_fudan and
camvid in the folder ``CCMIM_DATA``; no validation image is seen.
"""

_base_ = 'imagenet_unlabelled.py'
root = '{{$CCMIM_DATA:data}}'
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(
        data=[
            root + '/imagenet_sample',
            root + '/coco_mini/train2017',
            root + '/penn_fudan/train',
            root + '/camvid/images/training',
        ]
    ),
)
