r"""FLIP's last epochs, ViT-Ti/4 at 32 px: all patches are seen.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/flip_vitt_cifar10_unmasked.py 1 \
        --cfg-options load_from=work_dirs/flip_vitt_cifar10/epoch_40.pth

Begins from all weights of a run of flip_vitt_cifar10.py, at a tenth of its rate.
"""

_base_ = 'flip_vitt_cifar10.py'
model = dict(mask_ratio=0.0)
train_cfg = dict(max_epochs=4)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
