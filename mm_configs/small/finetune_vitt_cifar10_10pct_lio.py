r"""LIO: fine-tuning of ViT-Ti/4 at 32 px on a tenth of CIFAR-10's labels.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/finetune_vitt_cifar10_10pct_lio.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Extent and context of the object are learned beside the classes, in groups of four
images of a class. finetune_vitt_cifar10.py with label_ratio=0.1 is the same without.
"""

_base_ = 'finetune_vitt_cifar10.py'
model = dict(
    extra=dict(
        type='LookIntoObject',
        extent=dict(type='ObjectExtent'),
        context=dict(type='SpatialContext', dim=96),
    )
)
train_dataloader = dict(
    dataset=dict(label_ratio=0.1),
    sampler=dict(_delete_=True, type='GroupSampler', group_size=4),
)
