"""MAE with a contrast of patch graphs (GCA), ViT-Ti/4 at 32 px.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/mae_vitt_cifar10_graph.py 1

See mae_vitt_graph.py.
"""

_base_ = 'mae_vitt_cifar10.py'
model = dict(extra=dict(type='GraphContrast'))
