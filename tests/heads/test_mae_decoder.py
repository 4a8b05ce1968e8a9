"""The decoder's result does not depend on how it orders its tokens."""

import pytest
import torch

from ccmim.heads import MAEDecoder
from ccmim.heads.mae_decoder import decoder_positions
from ccmim.masking import RandomSampler, TokenSplit


def _decoder():
    torch.manual_seed(0)
    sizes = dict(in_dim=8, embed_dim=16, depth=2, num_heads=2)
    decoder = MAEDecoder(**sizes, img_size=(32, 64))
    return decoder.double()


def test_permuted_ids_permute_the_prediction():
    decoder = _decoder()
    split = RandomSampler()(torch.ones(3, 8), 0.5)
    visible = torch.randn(3, 5, 8, dtype=torch.float64)
    straight = decoder(visible, split)
    a, b = torch.randperm(4), torch.randperm(4)
    shuffled = TokenSplit(split.ids_visible[:, a], split.ids_masked[:, b], split.mask)
    tokens = torch.cat([visible[:, :1], visible[:, 1:][:, a]], dim=1)
    torch.testing.assert_close(decoder(tokens, shuffled), straight[:, b])


def test_prediction_depends_on_place_and_on_the_visible():
    decoder = _decoder()
    split = RandomSampler()(torch.ones(1, 8), 0.5)
    visible = torch.randn(1, 5, 8, dtype=torch.float64)
    pred = decoder(visible, split)
    assert pred.shape == (1, 4, 768)
    assert (pred[0, 0] - pred[0, 1]).abs().max() > 1e-3
    assert (decoder(visible + 0.1, split) - pred).abs().max() > 1e-4


def test_positions_are_fixed():
    decoder = _decoder()
    frozen = [n for n, p in decoder.named_parameters() if not p.requires_grad]
    assert frozen == ['pos_embed']
    assert decoder.pos_embed.shape == (1, 1 + 2 * 4, 16)


def test_positions_fit_images_of_another_size():
    """Twice the side: each old place lies in the middle of four new ones."""
    decoder = _decoder()
    split = RandomSampler()(torch.ones(1, 4 * 8), 0.5)
    table = decoder_positions(decoder.pos_embed, decoder.grid, split)
    fours = table[0, 1:].unflatten(0, (2, 2, 4, 2)).mean(dim=(1, 3)).flatten(0, 1)
    coarse = decoder.pos_embed[0, 1:]
    assert table.shape == (1, 33, 16)
    assert (fours - coarse).abs().max() < 0.2 < coarse.std()
    assert decoder(torch.randn(1, 17, 8, dtype=torch.float64), split).isfinite().all()


def test_another_shape_is_refused():
    decoder = _decoder()
    split = RandomSampler()(torch.ones(1, 10), 0.5)
    with pytest.raises(ValueError, match=r'10 patches do not have .* grid \(2, 4\)'):
        decoder_positions(decoder.pos_embed, decoder.grid, split)
