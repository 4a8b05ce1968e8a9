r"""Linear probe of a frozen ViT-L/16 on ImageNet-1K: the recipe of ViT-B.

    tools/dist_train.sh mm_configs/classification/linear_vitl_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: as linear_vitb_imagenet.py. Expected: 76.0 top-1, 75.8 top-1 in the paper (MAE,
FINETUNE.md: with its weights of 1600 epochs; 50 epochs of the probe are enough there;
TensorFlow and TPUs). With ccMIM's weights: not known. Eight GPUs at batch 512 each.
"""

_base_ = './linear_vitb_imagenet.py'
model = dict(backbone=dict(arch='large'))
