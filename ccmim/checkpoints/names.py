"""Names of parameters: this project's, and the layouts of others."""

from collections.abc import Mapping

from torch import Tensor

# Flat pretraining files of MAE and of the published ccMIM: encoder keys at top level.
_MAE_PREFIXES = {
    'decoder_embed.': 'decoder.embed.',
    'decoder_pos_embed': 'decoder.pos_embed',
    'decoder_blocks.': 'decoder.blocks.',
    'decoder_norm.': 'decoder.norm.',
    'decoder_pred.': 'decoder.pred.',
    'mask_token': 'decoder.mask_token',
    'projector.': 'contrast.projector.',
}


def to_ccmim(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a pretraining file of MAE or of the published ccMIM to our names.

    Encoder keys of such a flat file get the prefix ``backbone.``. Files that are
    already ours, and plain encoders (timm, MAE fine-tuned), pass unchanged.
    """
    if not any(name.startswith('decoder_') for name in state):
        return dict(state)
    renamed = {}
    for name, value in state.items():
        for theirs, ours in _MAE_PREFIXES.items():
            if name.startswith(theirs):
                renamed[ours + name.removeprefix(theirs)] = value
                break
        else:
            renamed[f'backbone.{name}'] = value
    return renamed
