r"""Fine-tuning of ViT-B/16 on 10 % of the labels: see finetune_vitb_imagenet.py.

    tools/dist_train.sh mm_configs/classification/finetune_vitb_imagenet_10pct.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

The same fraction of each class, drawn by `train_dataloader.dataset.seed`. For the usual
list of names: `train_dataloader.dataset.names=10percent.txt
train_dataloader.dataset.label_ratio=1`. Expected: not known; MAE has no recipe for it.
"""

_base_ = './finetune_vitb_imagenet.py'
train_dataloader = dict(dataset=dict(label_ratio=0.1))
train_cfg = dict(val_interval=25)
