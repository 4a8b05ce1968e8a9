r"""k-NN on what a frozen ViT-Ti/16 holds after its third block, CIFAR-10 at 128 px.

    CCMIM_DATA=data python tools/knn.py CHECKPOINT \
        --config mm_configs/small/knn_vitt_cifar10_128px_block2.py --pool both --random

For methods whose head is one layer, such as SimMIM: their last blocks do what a decoder
does elsewhere. All else is as in knn_vitt_cifar10_128px.py.
"""

_base_ = './knn_vitt_cifar10_128px.py'
block = 2
