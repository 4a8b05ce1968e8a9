r"""Linear probe of a frozen ViT-B/16 on ImageNet-1K, MAE's recipe: 90 epochs, LARS.

    tools/dist_train.sh mm_configs/classification/linear_vitb_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: MAE, FINETUNE.md and main_linprobe.py. Expected: 67.8 top-1, 68.0 top-1 in the
paper (MAE, FINETUNE.md: with its weights of 1600 epochs; TensorFlow and TPUs). With
ccMIM's weights: not known. Eight GPUs at batch 512 each, four steps accumulated: batch
16384.
"""

_base_ = [
    '../_base_/models/linear_vit.py',
    '../_base_/datasets/imagenet_probe.py',
    '../_base_/schedules/linear_90e.py',
    '../_base_/classification.py',
]
