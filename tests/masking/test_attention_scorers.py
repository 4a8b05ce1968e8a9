"""Attention of one block, and heads that have an equal say."""

import pytest
import torch

from ccmim import masking


@pytest.mark.parametrize('block', [-2, 1, -1])
def test_row_of_the_class_token(tiny_vit, images, block):
    """Its mean over heads is what `class_attention` measures; rows sum to one."""
    vit = tiny_vit()
    attention = masking.block_attention(vit, images, block)
    assert attention.shape == (4, 2, 17, 17)
    torch.testing.assert_close(attention.sum(3), torch.ones(4, 2, 17))
    known = vit.class_attention(vit.embed(images), [0, 1])[:, block]
    torch.testing.assert_close(attention.mean(1)[:, 0, 1:], known)
    row = masking.block_attention(vit, images, block, slice(1))
    torch.testing.assert_close(row, attention[:, :, :1])
    assert not attention.requires_grad


def test_relative_positions_count(tiny_vit, images):
    """A network that adds a bias to its attention is scored with it."""
    vit = tiny_vit(rel_pos_bias=True, patch_size=8)  # more patches than channels
    with torch.no_grad():
        for block in vit.blocks:
            block.attn.relative_position_bias_table.normal_()
    attention = masking.block_attention(vit, images, -1)
    known = vit.class_attention(vit.embed(images), [1])[:, 0]
    torch.testing.assert_close(attention.mean(1)[:, 0, 1:], known)


def test_each_head_goes_from_0_to_1(tiny_vit, images):
    vit = tiny_vit()
    rows = masking.block_attention(vit, images, -1)[:, :, 0, 1:]
    scores = masking.NormalizedAttentionScorer()(vit, images)
    for b in range(4):
        heads = [(h - h.min()) / (h.max() - h.min()) for h in rows[b]]
        torch.testing.assert_close(scores[b], (heads[0] + heads[1]) / 2)
    assert (scores.amin(1) >= 0).all()
    assert (scores.amax(1) <= 1).all()


def test_blocks_from_the_end(tiny_vit, images):
    """AttMask's choice, the last block, by its index from either end."""
    vit = tiny_vit()
    last = masking.ClassAttentionScorer(blocks=[-1])(vit, images)
    assert torch.equal(last, masking.ClassAttentionScorer(blocks=[1])(vit, images))
    assert not torch.equal(last, masking.ClassAttentionScorer(blocks=[-2])(vit, images))


def test_networks_that_give_no_scores_are_refused(tiny_vit, images):
    with pytest.raises(ValueError, match='class_token=False: there is no'):
        masking.NormalizedAttentionScorer()(tiny_vit(class_token=False), images)
    with pytest.raises(ValueError, match="attention='lisa' gives no scores"):
        masking.CentralityScorer()(tiny_vit(attention='lisa'), images)
    with pytest.raises(ValueError, match=r'block=2 must lie in \[-2, 1\]'):
        masking.CentralityScorer(block=2)(tiny_vit(), images)


@pytest.mark.parametrize('blocks', [3, [2], [-3]])
def test_blocks_that_the_network_lacks_are_named(tiny_vit, images, blocks):
    with pytest.raises(ValueError, match='more than the 2 blocks of the network'):
        masking.ClassAttentionScorer(blocks=blocks)(tiny_vit(), images)
