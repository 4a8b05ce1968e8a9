r"""NeCo with ViT-Ti/16 at 128 px on the training photos of all small sets.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/neco_vitt.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/mae_vitt/epoch_40.pth

It starts from a run of this library. The data and schedule of ccmim_vitt.py at a tenth
of its rate; coarser overlaps, fewer references and small crops, a faster teacher.
"""

_base_ = [
    '../_base_/models/neco_vit.py',
    '../_base_/datasets/small_photos.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(
        arch='tiny',
        img_size=128,
        patch_size=16,
        pos_embed='sincos',
        layer_scale_init=None,
        drop_path_rate=0.0,
    ),
    crops=dict(num_local=1, local_ratio=0.5),
    projector=dict(hidden_dim=512),
    order=dict(length=2048, num_references=32),
    teacher=dict(momentum=0.99, last_momentum=1.0),
    cells=4,
)
train_dataloader = dict(
    dataset=dict(transform=[dict(type='Resize', size=None), dict(type='ToUint8Tensor')])
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
