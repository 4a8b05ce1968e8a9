"""ccmim_vitt.py with patches scored every 10 epochs, in whole photos.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/ccmim_vitt_cached_scores.py 1
"""

_base_ = 'ccmim_vitt.py'
model = dict(
    scorer=dict(
        _delete_=True, type='StoredScorer', scorer=dict(type='ClassAttentionScorer')
    )
)
train_dataloader = dict(
    dataset=dict(
        type='ImagesWithCropBox',
        transform=[dict(type='RandomCropWithBox', size=None, scale=(0.2, 1.0))],
    )
)
custom_hooks = [dict(type='ccmim.ScoreRefreshHook', begin=0, interval=10 / 40)]
