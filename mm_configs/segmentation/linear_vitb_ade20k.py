r"""A linear classifier on frozen features of ViT-B/16, on ADE20K: a cheap dense probe.

    tools/dist_train.sh mm_configs/segmentation/linear_vitb_ade20k.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: DINOv2, dinov2/eval/segmentation/models/decode_heads/linear_head.py. Expected:
no figure is known. Departs: a schedule that is not in the source's repository. A cheap
dense probe: batch norm and a 1 x 1 convolution on the last map, after the final norm;
40k iterations at batch 16. Not run. Eight GPUs at batch 2 each. Slides over the image;
`--tta` tests at six scales, flipped and not.
"""

_base_ = [
    '../_base_/models/linear_seg_vit.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/linear_seg_40k.py',
    '../_base_/segmentation.py',
]
