r"""Linear probe of a frozen ViT-B/16 on ImageNet-1K, MAE's recipe: 90 epochs, LARS.

    tools/dist_train.sh mm_configs/classification/linear_vitb_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: with MAE's weights (1600 epochs) the paper reports 68.0 top-1 and its
repository 67.8. With ccMIM's weights: not known. Eight GPUs at batch 512 each, four
steps accumulated: batch 16384.
"""

_base_ = [
    '../_base_/models/linear_vit.py',
    '../_base_/datasets/imagenet_probe.py',
    '../_base_/schedules/linear_90e.py',
    '../_base_/classification.py',
]
