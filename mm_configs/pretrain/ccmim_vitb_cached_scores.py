"""Faster ccMIM, ViT-B/16: patches scored every 20 epochs, in whole photos.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb_cached_scores.py 8

The maps of a photo's patches are cut as the images are (AMT's way), so a step needs no
scoring pass. Changes the result. Not run by us. 256 MB a GPU and a checkpoint.
"""

_base_ = 'ccmim_vitb.py'
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
custom_hooks = [dict(type='ccmim.ScoreRefreshHook', begin=0, interval=20 / 800)]
