r"""Fine-tuning of ViT-B/16 on ImageNet-1K, MAE's recipe: 100 epochs at batch 1024.

    tools/dist_train.sh mm_configs/classification/finetune_vitb_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: MAE, FINETUNE.md. Expected: 83.6 top-1 (MAE, README.md: with its weights of 1600
epochs; the four seeds of FINETUNE.md are 83.46, 83.52, 83.63 and 83.66). Departs:
RandAugment's magnitude below 10. With ccMIM's weights: not known. Eight GPUs at batch
128 each. ImageNet's train/ and val/ are in `data/imagenet` or where `CCMIM_IMAGENET`
points; any folders with a folder for each class do, with `model.head.num_classes`.
"""

_base_ = [
    '../_base_/models/classifier_vit.py',
    '../_base_/datasets/imagenet_labelled.py',
    '../_base_/schedules/finetune_100e.py',
    '../_base_/classification.py',
]
