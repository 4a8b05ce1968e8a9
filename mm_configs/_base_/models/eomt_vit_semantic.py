"""EoMT on a plain ViT-L/16 for a class of each pixel, for 512 x 512 crops.

Sizes follow from the backbone's `arch`, `img_size` and `patch_size`. In testing as many
windows as needed slide along the long side.
"""

_base_ = './eomt_queries.py'
custom_imports = dict(imports=['ccmim.dense.eomt_segmentor'])
model = dict(
    type='ccmim.EoMTSegmentor',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=None,
    ),
    backbone=dict(
        type='ccmim.VisionTransformer',
        arch='large',
        img_size=512,
        pos_embed='learned',
        out_indices=(),  # all blocks are run, and the final norm
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    decode_head=dict(
        type='ccmim.EoMTSemanticHead',
        num_classes=150,
        **{**_base_.queries, 'num_queries': 100},
    ),
    train_cfg=_base_.matching,
    test_cfg=dict(mode='slide', crop_size=None, stride=1.0),
)
