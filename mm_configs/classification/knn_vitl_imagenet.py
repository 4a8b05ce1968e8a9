r"""k-NN on features of a frozen ViT-L/16, ImageNet-1K: see knn_vitb_imagenet.py.

    python tools/knn.py CHECKPOINT \
        --config mm_configs/classification/knn_vitl_imagenet.py

Expected: not known to us.
"""

_base_ = './knn_vitb_imagenet.py'
model = dict(backbone=dict(arch='large'))
