r"""ccMIM starts from the weights of a ViT-S/14 with layer scale, on the small photos.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/ccmim_vits14_adapt.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

As mae_vits14_adapt.py, with the same photos and rates, but without an anchor: the dense
features were better than those at the start. See docs/results.md.
"""

_base_ = 'mae_vits14_adapt.py'
model = dict(
    type='CCMIM',
    scorer=dict(
        _delete_=True, type='ClassAttentionScorer', blocks='all', direction='row'
    ),
    sampler=dict(_delete_=True, type='CCMIMSampler'),
    contrast=dict(
        type='SingleViewContrast',
        out_dim=256,
        temperature=0.5,
        grad='visible',
        batch_norm='local',
        projector=True,
    ),
    contrast_weight=0.1,
    anchor=None,
)
