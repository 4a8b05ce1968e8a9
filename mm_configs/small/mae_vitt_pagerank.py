"""MAE with masks drawn by centrality in the attention graph, ViT-Ti/16 at 128 px.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/mae_vitt_pagerank.py 1
"""

_base_ = 'mae_vitt.py'
model = dict(
    scorer=dict(type='CentralityScorer', centrality='pagerank'),
    sampler=dict(type='GumbelSampler', temperature=0.5),
)
