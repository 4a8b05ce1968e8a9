"""EoMT on a plain ViT-L/16 for instances, on a 640 x 640 canvas.

Sizes follow from the backbone's `arch`, `img_size` and `patch_size`.
"""

_base_ = './eomt_queries.py'
custom_imports = dict(imports=['ccmim.dense.detection'])
model = dict(
    type='ccmim.EoMT',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=None,  # the canvas: images are at most as large
    ),
    backbone=dict(
        type='ccmim.VisionTransformer',
        arch='large',
        img_size=640,
        pos_embed='learned',
        out_indices=(),  # all blocks are run, and the final norm
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    panoptic_head=dict(
        type='ccmim.EoMTHead',
        num_things_classes=80,
        num_stuff_classes=0,
        **_base_.queries,
    ),
    train_cfg=_base_.matching,
    test_cfg=dict(
        panoptic_on=False,
        instance_on=True,
        max_per_image=100,
        object_mask_thr=0.8,
        iou_thr=0.8,
        filter_low_score=True,
    ),
)
