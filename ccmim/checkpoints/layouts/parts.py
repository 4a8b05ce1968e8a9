"""Which tensors of a file are the backbone, which are not, and which are foreign."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from ccmim.checkpoints.layouts.rename import Tensors

_BACKBONE = re.compile(
    r'cls_token|pos_embed|(patch_embed\.proj|norm)\.(weight|bias)|blocks\.\d+\.('
    r'(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)|ls[12]\.gamma|'
    r'attn\.relative_position_bias_table)'
)
# Why a tensor is left out, by what its name begins with; the first that fits.
_LEFT_OUT = {
    r'decoder|(.*\.)?mask_token|lm_head|projector|predictor|contrast\.|rel_pos_bias2': (
        'of pretraining only'
    ),
    r'head|fc_norm|classifier|pooler|fc\.|ln2\.|logit_scale': 'of the classifier',
    r'(.*\.)?relative_position_index$': 'computed anew',
}
# Parts of other networks, by what their names hold.
_FOREIGN = {
    r'mlp\.w\d|ffn\.w\d|mlp\.fc1_[gx]': 'a SwiGLU MLP',
    r'reg_token|register_token': 'register tokens',
    r'[qk]_norm|inner_attn': 'norms of queries or keys',
    r'norm_pre|pre_norm|ln_pre|pre_ln': 'a norm before the blocks',
    r'dist': 'a distillation token',
    r'rel_pos_[hw]': 'decomposed relative positions',
    r'patch_embed': 'another patch embedding',
}


def split_off_backbone(
    state: Mapping[str, Tensor],
) -> tuple[Tensors, dict[str, str]]:
    """Take the backbone's tensors, by our names, out of a file's.

    Returns:
        The tensors of the backbone, and why each of the others is left out, by name.

    Raises:
        ValueError: If one is of a part that our Vision Transformer does not have.
    """
    backbone: Tensors = {}
    left_out: dict[str, str] = {}
    for name, value in state.items():
        if _BACKBONE.fullmatch(name):
            backbone[name] = value
        elif reason := _first(_LEFT_OUT, name, re.match):
            left_out[name] = reason
        else:
            what = _first(_FOREIGN, name, re.search) or 'an unknown part'
            raise ValueError(
                f'{name} of shape {tuple(value.shape)} is of {what}, which '
                'ccmim.VisionTransformer does not have'
            )
    return backbone, left_out


def _first(
    table: Mapping[str, str], name: str, match: Callable[[str, str], object]
) -> str | None:
    return next((text for part, text in table.items() if match(part, name)), None)
