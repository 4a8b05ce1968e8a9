"""SimMIM against a slow oracle, and what it may not see."""

import pytest
import torch

from ccmim.masking import MaskToken, encode_with_mask_tokens
from tests.methods.oracles import assert_same_gradients, drawn, slow_encode


def _slow_loss(model, images, mask):
    """Published: mask tokens in place, one layer, L1 of the masked pixels."""
    encoded = slow_encode(model.backbone, images, mask, model.mask_token.token)
    head = model.decoder.pred
    total, count = 0.0, 0
    for b, patch in mask.nonzero().tolist():
        pred = head.weight @ encoded[b, 1 + patch] + head.bias
        top, left = 16 * (patch // 4), 16 * (patch % 4)
        for y in range(16):
            for x in range(16):
                pixel = images[b, :, top + y, left + x]
                start = 3 * (16 * y + x)
                total = total + (pred[start : start + 3] - pixel).abs().sum()
                count += 3
    return total / count


def test_against_a_slow_oracle(tiny_simmim, images):
    """float64: the loss within 1e-12, gradients within 1e-10."""
    model, images = tiny_simmim().double(), images[:2].double()
    with torch.no_grad():
        model.decoder.pred.bias.normal_()
    seen = drawn(model)
    loss = model.loss(images)['loss_reconstruction']
    slow = _slow_loss(model, images, seen['split'].mask)
    assert loss.item() == pytest.approx(slow.item(), abs=1e-12)
    assert_same_gradients(model, loss, slow)


def test_tokens_begin_small_and_unlike_zero():
    """Normal with a standard deviation of 0.02, cut there."""
    token = MaskToken(2000).token
    assert 0.0195 < token.abs().max() <= 0.02
    assert token.std().item() == pytest.approx(0.54 * 0.02, rel=0.05)
    assert abs(token.mean()) < 1e-3


@pytest.mark.parametrize(
    'positions',
    [{}, dict(rel_pos_bias=True), dict(pos_embed='rotary'), dict(attention='rel_pos')],
    ids=['fixed', 'table', 'rotary', 'decomposed'],
)
def test_patches_keep_their_places(tiny_simmim, images, positions):
    """Mask tokens put into a row of all patches give the same, in order of the ids."""
    changes = {f'backbone.{key}': value for key, value in positions.items()}
    model = tiny_simmim(**changes).double()
    images = images.double()
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if 'rel' in name:
            parameter.data.normal_()  # tables are zero at first
    backbone = model.backbone
    split = model.sampler(model.scorer(backbone, images), 0.5)
    found = encode_with_mask_tokens(backbone, model.mask_token, images, split)
    tokens = backbone.embed(images)
    for image in range(len(images)):
        for patch in split.ids_masked[image]:
            token = model.mask_token(backbone, images[:1], patch.view(1, 1))
            tokens[image, patch] = token[0, 0]
    whole = backbone.encode(tokens)
    order = torch.cat([split.ids_visible, split.ids_masked], dim=1)
    for image in range(len(images)):
        assert torch.allclose(found[image, 0], whole[image, 0], atol=1e-12)
        placed = whole[image, 1:][order[image]]
        assert torch.allclose(found[image, 1:], placed, atol=1e-12)
