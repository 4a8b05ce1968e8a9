"""MAE with a contrast of patch graphs (GCA), ViT-Ti/16 at 128 px.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/mae_vitt_graph.py 1

Edges and channels are dropped by PageRank in the graph of attention.
"""

_base_ = 'mae_vitt.py'
model = dict(extra=dict(type='GraphContrast'))
