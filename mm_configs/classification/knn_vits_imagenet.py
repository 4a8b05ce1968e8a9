r"""k-NN on features of a frozen ViT-S/16, ImageNet-1K: see knn_vitb_imagenet.py.

    python tools/knn.py CHECKPOINT \
        --config mm_configs/classification/knn_vits_imagenet.py

Expected: not known to us.
"""

_base_ = './knn_vitb_imagenet.py'
model = dict(backbone=dict(arch='small'))
