"""ccMIM with the masks of a network that knows what stands out: arms and measures.

All arms of the show take as many steps of one epoch; beside the published order, in
which the student scores its own patches, and random masks. What the scores of another
network cost could be paid once a photo, so steps are compared and not operations.
"""

from typing import Any

from studies.adapting import FILE, dense_features
from studies.adapting import SHOWS as ADAPTING
from studies.family import Show

_SHARES = (50, 60, 75)  # per cent of the patches that are masked; published: 75
_RANDOM: dict[str, Any] = {
    'model.scorer': dict(_delete_=True, type='ConstantScorer'),
    'model.sampler': dict(_delete_=True, type='RandomSampler'),
}


def _masked(share: int, hints: float) -> dict[str, Any]:
    """Mask what the network attends to most, but for a share of hints."""
    return {
        # At 112 px the grid of its patches of 14 px is the student's, 8 x 8.
        'model.scorer': dict(
            _delete_=True, type='FrozenScorer', checkpoint=FILE, img_size=112
        ),
        'model.sampler': dict(_delete_=True, type='TopKSampler', hint_ratio=hints),
        'model.mask_ratio': share / 100,
    }


_ARMS: dict[str, Any] = {
    **{f'random_{share}': _RANDOM | {'model.mask_ratio': share / 100}
       for share in _SHARES},
    'published': {},
    **{f'salient_{share}': _masked(share, 0.0) for share in _SHARES},
    **{f'salient_hints_{share}': _masked(share, 0.1) for share in _SHARES},
}  # fmt: skip
SHOWS = dict(
    saliency=Show(
        'small/ccmim_vitt.py',
        _ARMS,
        measure=dense_features,
        logged={'loss': ('loss_reconstruction', 1.0)},
        options=ADAPTING['students'].options | {'train_cfg.max_epochs': 1},
        small=False,
    ),
)
