r"""k-NN on features of a frozen ViT-B/16, ImageNet-1K.

    python tools/knn.py CHECKPOINT \
        --config mm_configs/classification/knn_vitb_imagenet.py

Nothing is trained. Expected: not known to us, for MAE's weights neither. The features
of the training set take 4 GB.
"""

_base_ = [
    '../_base_/models/linear_vit.py',
    '../_base_/datasets/imagenet_features.py',
    '../_base_/classification.py',
]
