r"""Mask R-CNN with ViT-B/16 on COCO, ViTDet's recipe with its relative positions.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_coco_relpos.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

As mask_rcnn_vitb_coco.py, with decomposed relative positions for 14 x 14 patches in the
windows and 64 x 64 in the global blocks. Their tables start at zero and need not be in
FILE; they are weight-decayed (biases are not) and learn at the rate of their block.
Expected: with MAE's weights ViTDet publishes 51.6 box AP and 45.9 mask AP. Not run.
Eight GPUs at batch 8 each. Other leaves take `--cfg-options
model.backbone.attention=rel_pos model.backbone.rel_pos_size=1024` and the same
`allow_missing`.
"""

_base_ = './mask_rcnn_vitb_coco.py'
model = dict(
    backbone=dict(
        attention='rel_pos',
        rel_pos_size=1024,
        init_cfg=dict(
            allow_missing=[
                f'blocks.{i}.attn.rel_pos_{axis}' for i in range(12) for axis in 'hw'
            ]
        ),
    )
)
