"""AMT on MAE and SimMIM: slow oracles, and thrown patches in no pass."""

import pytest
import torch

from tests.methods import oracles


def _slow_tokens(vit, image):
    """Embed the patches of one image (3, H, W) one by one: (N, D)."""
    return torch.stack([oracles.slow_embed(vit, image, i) for i in range(16)])


def _slow_patch(image, i):
    return oracles.patch_of(image, i).permute(1, 2, 0).flatten()


def _slow_mae_loss(model, images, split):
    """Published: all places filled, thrown ones deleted, error of the masked."""
    vit, decoder, errors = model.backbone, model.decoder, []
    for b, image in enumerate(images):
        shown = split.ids_visible[b].sort().values
        hidden = split.ids_masked[b].sort().values
        token = vit.cls_token[0] + vit.pos_embed[0, :1]
        x = (_slow_tokens(vit, image) + vit.pos_embed[0, 1:])[shown]
        x = torch.cat([token, x])[None]
        for block in vit.blocks:
            x = oracles.slow_block(block, x)
        x = decoder.embed(vit.norm(x))[0]
        full = decoder.mask_token[0].repeat(16, 1)
        full = full.index_put((shown,), x[1:])
        full = torch.cat([x[:1], full]) + decoder.pos_embed[0]
        used = torch.cat([shown, hidden]).sort().values
        y = torch.cat([full[:1], full[1:][used]])[None]
        for block in decoder.blocks:
            y = oracles.slow_block(block, y)
        pred = decoder.pred(decoder.norm(y))[0, 1:]
        for place, i in enumerate(used.tolist()):
            if i in hidden:
                target = _slow_patch(image, i)
                target = (target - target.mean()) / (target.var() + 1e-6).sqrt()
                errors.append((pred[place] - target).square())
    return torch.stack(errors).mean()


def _slow_simmim_loss(model, images, split):
    """Published: mask tokens in place, thrown ones deleted before the first block."""
    vit, errors = model.backbone, []
    for b, image in enumerate(images):
        x = _slow_tokens(vit, image).clone()
        hidden = split.ids_masked[b].tolist()
        x[hidden] = model.mask_token.token[0, 0]
        x = torch.cat([vit.cls_token[0], x]) + vit.pos_embed[0]
        used = sorted(hidden + split.ids_visible[b].tolist())
        x = torch.cat([x[:1], x[1:][used]])[None]
        for block in vit.blocks:
            x = oracles.slow_block(block, x)
        pred = model.decoder.pred(vit.norm(x))[0, 1:]
        for place, i in enumerate(used):
            if i in hidden:
                errors.append((pred[place] - _slow_patch(image, i)).abs())
    return torch.stack(errors).mean()


SLOW = dict(amt_mae=_slow_mae_loss, amt_simmim=_slow_simmim_loss)


@pytest.fixture(params=SLOW)
def case(request):
    """A tiny model of each in float64, and its oracle."""
    model = request.getfixturevalue(f'tiny_{request.param}')().double()
    return model, SLOW[request.param]


def test_against_a_slow_oracle(case, images):
    """float64: the loss within 1e-12, gradients within 1e-10."""
    (model, slow_loss), images = case, images.double()
    seen = oracles.drawn(model)
    loss = model.loss(images)['loss_reconstruction']
    slow = slow_loss(model, images, seen['split'])
    assert loss.item() == pytest.approx(slow.item(), abs=1e-12)
    oracles.assert_same_gradients(model, loss, slow)


def test_thrown_patches_are_in_no_pass(case, images):
    """Their pixels change nothing, to the last bit; those of any other patch do."""
    (model, _), images = case, images.double()
    seen = oracles.drawn(model)

    def loss(images):
        torch.manual_seed(3)
        return model.loss(images)['loss_reconstruction'].item()

    before, split = loss(images), seen['split']
    used = torch.zeros(4, 16, dtype=torch.bool)
    used.scatter_(1, torch.cat([split.ids_masked, split.ids_visible], dim=1), True)
    for ids, changes in ((~used, False), (split.mask, True), (used ^ split.mask, True)):
        after = loss(images + oracles.on_pixels(ids) * torch.randn_like(images))
        assert (after != before) == changes


def test_too_much_thrown_is_named(tiny_amt_mae, images):
    model = tiny_amt_mae(sampler=dict(throw_ratio=0.5))
    with pytest.raises(ValueError, match='throw_ratio=0.5 beside mask_ratio=0.5 leav'):
        model.loss(images)
