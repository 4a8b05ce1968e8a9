"""NeCo with ViT-S/14 at 518 px, to start from the weights of DINOv2."""

_base_ = 'mae_vit.py'
model = dict(
    type='NeCo',
    # Of which weights: a file, a folder, timm:NAME or hf:OWNER/NAME.
    backbone=dict(
        arch='small',
        img_size=518,
        patch_size=14,
        pos_embed='learned',
        layer_scale_init=1.0,
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    crops=dict(
        type='SharedCrops',
        num_local=4,
        local_ratio=98 / 518,
        scale=(0.25, 1.0),
        local_scale=(0.05, 0.25),
        least_shared=0.01,
    ),
    perturbation=dict(
        type='ColorPerturbation',
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        jitter_prob=0.8,
        gray_prob=0.2,
        blur_prob=0.5,
        solarize_prob=0.0,
    ),
    projector=dict(type='MLPProjection', hidden_dim=2048, out_dim=256, num_layers=3),
    order=dict(
        type='NeighborOrder',
        length=8192,
        num_references=49,
        num_new=10,
        steepness=100.0,
        sorter='bitonic',
    ),
    # interval: as accumulative_counts.
    teacher=dict(momentum=0.9995, last_momentum=1.0, interval=1),
    cells=7,
)
for part in ('scorer', 'sampler', 'decoder', 'reconstruction', 'mask_ratio'):
    _base_.model.pop(part)
