"""Instances at three scales, flipped and not: for `tools/test.py --tta`.

No view is larger than the canvas to which the model pads.
"""

meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
tta_model = dict(
    type='ccmim.InstanceTTAModel',
    nms=dict(type='nms', iou_threshold=0.5),
    max_per_img=100,
)
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=part, keep_ratio=True)  # of the canvas
                for part in (0.75, 0.875, 1.0)
            ],
            [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            [dict(type='LoadAnnotations', with_bbox=True, with_mask=True)],
            [
                dict(
                    type='PackDetInputs',
                    meta_keys=(*meta_keys, 'flip', 'flip_direction'),
                )
            ],
        ],
    ),
]
