r"""k-NN on features of a frozen ViT-Ti/16 at 128 px, a part of CIFAR-10 enlarged.

    CCMIM_DATA=data python tools/knn.py CHECKPOINT \
        --config mm_configs/small/knn_vitt_cifar10_128px.py --random

For what was pretrained on other photos: a tenth of the training images (5,000) and a
fifth of the test images (2,000), at 128 px. Nothing is trained.
"""

_base_ = './knn_vitt_cifar10.py'
model = dict(backbone=dict(img_size=128, patch_size=16))
enlarged = [
    dict(type='ResizeCenterCrop', size=None, crop_ratio=1.0),
    dict(type='ToUint8Tensor'),
]
train_dataloader = dict(dataset=dict(label_ratio=0.1, transform=enlarged))
val_dataloader = dict(dataset=dict(label_ratio=0.2, transform=enlarged))
test_dataloader = val_dataloader
