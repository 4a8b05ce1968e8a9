r"""UperNet with ViT-L/16 on ADE20K, CAE's recipe: 160k iterations, 512, batch 16.

    tools/dist_train.sh mm_configs/segmentation/upernet_vitl_ade20k.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: CAE, .../upernet_cae_large_24_512_slide_160k_ade20k_pt_decay095_4e-5_dp015.py;
else as upernet_vitb_ade20k.py. Expected: 54.9 mIoU (CAE,
downstream_tasks/semantic_segmentation/README.md: with CAE's weights of 1600 epochs; its
layer scale begins at 1e-5). Departs: no relative positions; no layer scale. With
ccMIM's weights: not known. Not run. Eight GPUs at batch 2 each. `--tta` tests at six
scales, flipped and not.
"""

_base_ = './upernet_vitb_ade20k.py'
model = dict(backbone=dict(arch='large', drop_path_rate=0.15))
optim_wrapper = dict(optimizer=dict(lr=4e-5), paramwise_cfg=dict(layer_decay=0.95))
