"""The layout of BEiT and what grew out of it: ConMIM, MaskDistill, timm's Beit.

Its keys have no bias, its factors of a branch are ``gamma_1`` and ``gamma_2``, and its
table of relative positions belongs to a block or to all of them.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ccmim.checkpoints.layouts.rename import Renaming, Tensors

SHARED = 'rel_pos_bias.relative_position_bias_table'
_NAMES = Renaming('blocks', {}, {'ls1.gamma': 'gamma_1', 'ls2.gamma': 'gamma_2'})


def read(state: Mapping[str, Tensor]) -> Tensors:
    """Rename to our names, join the biases, give each block a table of its own.

    A bias of the keys adds the same to all logits of a query, which the softmax does
    not see: zeros take its place.
    """
    named = _NAMES.to_ours(state)
    shared = named.pop(SHARED, None)
    numbers = {m[1] for name in named if (m := re.match(r'blocks\.(\d+)\.', name))}
    for number in sorted(numbers, key=int):
        prefix = f'blocks.{number}.attn.'
        q, v = named.pop(f'{prefix}q_bias', None), named.pop(f'{prefix}v_bias', None)
        if q is not None and v is not None:
            named[f'{prefix}qkv.bias'] = torch.cat([q, torch.zeros_like(q), v])
        if shared is not None:
            table = f'{prefix}relative_position_bias_table'
            own = named.get(table)
            named[table] = shared.clone() if own is None else own + shared
    return named
