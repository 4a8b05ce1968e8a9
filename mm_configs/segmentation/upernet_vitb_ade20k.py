r"""UperNet with ViT-B/16 on ADE20K, mmseg's MAE recipe: 160k iterations, 512, batch 16.

    tools/dist_train.sh mm_configs/segmentation/upernet_vitb_ade20k.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: with MAE's weights mmseg publishes 48.13 mIoU (48.70 with `--tta`), with
relative positions, which are left out here. With ccMIM's weights: not known. Eight GPUs
at batch 2 each; mmseg reports 9.96 GB on V100s. ADE20K is in
`data/ade/ADEChallengeData2016` or where `CCMIM_ADE20K` points.
"""

_base_ = [
    '../_base_/models/upernet_vit.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/upernet_160k.py',
    '../_base_/segmentation.py',
]
