"""PASCAL VOC 2012 with the additional masks of SBD, 21 classes, 512 x 512 crops.

10,582 photos for training: VOC's `train.txt` and SBD's `aug.txt`, whose masks are in
`SegmentationClassAug`, as mmseg's converter writes them.
"""

_base_ = './semantic_crops.py'
data_root = '{{$CCMIM_VOC:data/VOCdevkit/VOC2012}}'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='PascalVOCDataset',
                data_root=data_root,
                data_prefix=dict(img_path='JPEGImages', seg_map_path=masks),
                ann_file=f'ImageSets/Segmentation/{names}.txt',
                pipeline=_base_.train_pipeline,
            )
            for names, masks in (
                ('train', 'SegmentationClass'),
                ('aug', 'SegmentationClassAug'),
            )
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='PascalVOCDataset',
        data_root=data_root,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
    ),
)
test_dataloader = val_dataloader
