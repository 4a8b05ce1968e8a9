"""Road scenes of CamVid, 367 + 101 photos of 384 x 288, eleven classes."""

_base_ = './semantic_small.py'
camvid = dict(
    data_root='{{$CCMIM_DATA:data}}/camvid',
    metainfo=dict(
        classes=(
            'sky',
            'building',
            'pole',
            'road',
            'pavement',
            'tree',
            'sign symbol',
            'fence',
            'car',
            'pedestrian',
            'bicyclist',
        ),
        palette=[
            (128, 128, 128),
            (128, 0, 0),
            (192, 192, 128),
            (128, 64, 128),
            (60, 40, 222),
            (128, 128, 0),
            (192, 128, 128),
            (64, 64, 128),
            (64, 0, 128),
            (64, 64, 0),
            (0, 128, 192),
        ],
    ),
)
train_dataloader = dict(dataset=camvid)
val_dataloader = dict(dataset=camvid)
test_dataloader = val_dataloader
