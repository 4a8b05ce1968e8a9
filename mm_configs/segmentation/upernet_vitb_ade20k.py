r"""UperNet with ViT-B/16 on ADE20K, mmseg's MAE recipe: 160k iterations, 512, batch 16.

    tools/dist_train.sh mm_configs/segmentation/upernet_vitb_ade20k.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: mmsegmentation, configs/mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512.py.
Expected: 48.13 mIoU, 48.70 mIoU with augmentation (mmsegmentation,
configs/mae/README.md: with MAE's weights). Published cost: 9.96 GB a GPU. Departs: no
relative positions; no layer scale. With ccMIM's weights: not known. Eight GPUs at batch
2 each. ADE20K is in `data/ade/ADEChallengeData2016` or where `CCMIM_ADE20K` points.
`--tta` tests with augmentation.
"""

_base_ = [
    '../_base_/models/upernet_vit.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/upernet_160k.py',
    '../_base_/segmentation.py',
]
