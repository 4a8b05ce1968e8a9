"""Masked tokens look at the visible ones alone, as a slow decoder written out does."""

import pytest
import torch
from torch import nn

from ccmim.heads import CrossDecoder
from ccmim.masking import RandomSampler, TokenSplit


@pytest.fixture
def case():
    torch.manual_seed(0)
    decoder = CrossDecoder(
        in_dim=8, embed_dim=16, depth=2, num_heads=2, img_size=(32, 64), mlp_ratio=2.0
    ).double()
    for parameter in decoder.parameters():  # norms and biases start where they hide
        nn.init.normal_(parameter, std=0.3) if parameter.requires_grad else None
    split = RandomSampler()(torch.ones(3, 8), 0.5)
    return decoder, torch.randn(3, 5, 8, dtype=torch.float64), split


def _slow(decoder, visible, split):
    """One masked patch of one image at a time, by torch's own attention module."""
    rows = []
    for image in range(len(visible)):
        table = decoder.pos_embed[0]
        places = torch.cat([torch.zeros(1, dtype=int), 1 + split.ids_visible[image]])
        memory = decoder.embed(visible[image]) + table[places]
        for patch in split.ids_masked[image]:
            x = decoder.mask_token[0] + table[1 + patch]  # (1, C)
            for block in decoder.blocks:
                attention = nn.MultiheadAttention(16, 2).double()
                with torch.no_grad():
                    attention.in_proj_weight.copy_(
                        torch.cat([block.q.weight, block.kv.weight])
                    )
                    attention.in_proj_bias.copy_(
                        torch.cat([block.q.bias, block.kv.bias])
                    )
                    attention.out_proj.load_state_dict(block.proj.state_dict())
                keys = block.norm_memory(memory)
                x = x + attention(block.norm1(x), keys, keys)[0]
                x = x + block.mlp(block.norm2(x))
            rows.append(decoder.pred(decoder.norm(x))[0])
    return torch.stack(rows).unflatten(0, split.ids_masked.shape)


def test_it_is_the_slow_decoder(case):
    torch.testing.assert_close(case[0](*case[1:]), _slow(*case), rtol=0, atol=1e-12)


def test_a_patch_comes_out_the_same_whoever_else_is_asked_for(case):
    decoder, visible, split = case
    some = TokenSplit(split.ids_visible, split.ids_masked[:, [2, 0]], split.mask)
    whole = decoder(visible, split)
    torch.testing.assert_close(decoder(visible, some), whole[:, [2, 0]])


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match='embed_dim=16 must be a multiple of num_h'):
        CrossDecoder(embed_dim=16, num_heads=3)
