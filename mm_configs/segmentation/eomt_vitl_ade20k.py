r"""EoMT with ViT-L/16 on ADE20K: 31 epochs, 512, batch 16.

    tools/dist_train.sh mm_configs/segmentation/eomt_vitl_ade20k.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: EoMT, configs/dinov2/ade20k/semantic/eomt_large_512.yaml. Expected: 58.4 mIoU
(EoMT, model_zoo/dinov2.md: with DINOv2's weights, which have registers and layer
scale). Departs: no registers; no layer scale; the embedding learns as one block more;
mmseg's color distortion; windows as mmseg places them. With ccMIM's weights: not known.
Not run. Eight GPUs at batch 2 each. ADE20K is in `data/ade/ADEChallengeData2016` or
where `CCMIM_ADE20K` points. `--tta` tests at six scales, flipped and not.
"""

_base_ = [
    '../_base_/models/eomt_vit_semantic.py',
    '../_base_/datasets/ade20k_long_side.py',
    '../_base_/schedules/eomt.py',
    '../_base_/segmentation.py',
]
