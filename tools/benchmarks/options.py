"""Options of ccMIM that are cheaper and change its result, as rows of the table."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from torch import nn

from ccmim.masking import stored_scorer
from ccmim.methods import ProgressiveResize

OPTIONS: dict[str, str] = dict(
    score3='scored from the first three blocks',
    cross="with CrossMAE's decoder on a quarter of the masked patches",
    cached='with scores at hand, of which the refreshing is not timed',
    masks2='with two masks of each image for one scoring pass',
    progressive='with images that grow: a third of the steps each at about 5/7, 6/7 '
    'and all of the side',
)
NUM_SIZES = 3


def apply_option(cfg: Config, option: str) -> None:
    """Change a config of ccMIM as its leaf of that option does, at any shape.

    Args:
        cfg: Config of a pretraining run.
        option: Of ``OPTIONS``.
    """
    model = cfg.model
    side, patch = model.backbone.img_size, model.backbone.get('patch_size', 16)
    changes: dict[str, Any] = {
        'score3': {'scorer.blocks': 3},
        'cross': {'decoder.type': 'CrossDecoder', 'decoded_ratio': 0.25},
        'cached': {
            'scorer': dict(
                _delete_=True,
                type='StoredScorer',
                scorer=dict(type='ClassAttentionScorer'),
            )
        },
        'masks2': {'num_masks': 2},
        'progressive': {
            'data_preprocessor.type': 'ccmim.ProgressiveResize',
            'data_preprocessor.schedule': [
                (epoch, round(side * scale / 7 / patch) * patch)
                for epoch, scale in enumerate((5, 6, 7))
            ],
        },
    }[option]
    cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})


def before_step(model: nn.Module, step: int, batch_size: int) -> None:
    """Give a method what a run's hooks would give it before a step.

    Images that grow have the size of epoch ``step`` modulo 3, and stored scores are
    random maps of whole pictures.

    Args:
        model: The method.
        step: Number of the step in its round; -1 for one at full size.
        batch_size: Images of the step.
    """
    if isinstance(model.data_preprocessor, ProgressiveResize):
        info = dict(epoch=step % NUM_SIZES, max_epochs=NUM_SIZES)
        MessageHub.get_current_instance().update_info_dict(info)
    scorer = stored_scorer(model)
    if scorer is not None:
        if len(scorer.maps) != batch_size:
            scorer.hold(batch_size)
            maps = torch.randint_like(scorer.maps, 256)
            scorer.store(maps, torch.ones_like(scorer.scales))
        whole = torch.tensor([0.0, 1.0, 0.0, 1.0]).expand(batch_size, 4)
        scorer.show(torch.arange(batch_size), whole)
