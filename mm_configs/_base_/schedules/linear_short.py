"""A short linear probe for small data: LARS as at full size, 10 epochs.

LARS changes the weights by a fraction of their norm, so small batches do not want small
rates.
"""

_base_ = './finetune_short.py'
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True,
        type='LARS',
        lr=12.8,
        momentum=0.9,
        trust_coeff=0.001,
        weight_decay=0.0,
    ),
    paramwise_cfg=dict(layer_decay=1.0),
)
