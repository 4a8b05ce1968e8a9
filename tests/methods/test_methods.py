"""ccMIM and MAE against slow oracles written from their formulae."""

import pytest
import torch

from ccmim.masking import TokenSplit, importance_gap, some_masked
from tests.methods.oracles import assert_same_gradients, slow_block


def _slow_encode(vit, tokens):
    token = (vit.cls_token + vit.pos_embed[:, :1]).expand(len(tokens), -1, -1)
    x, attended = torch.cat([token, tokens], dim=1), []
    for block in vit.blocks:
        x = slow_block(block, x, attended)
    return vit.norm(x), sum(attended).mean(1)[:, 0, 1:]


def _slow_decode(decoder, visible, split):
    """MAE's decoder as published: mask tokens put back in place, then positions."""
    batch, num_patches = split.mask.shape
    x = decoder.embed(visible)
    full = decoder.mask_token.repeat(batch, num_patches, 1)
    for b in range(batch):
        for i, patch in enumerate(split.ids_visible[b].tolist()):
            full[b, patch] = x[b, 1 + i]
    x = torch.cat([x[:, :1], full], dim=1) + decoder.pos_embed
    for block in decoder.blocks:
        x = slow_block(block, x)
    pred = decoder.pred(decoder.norm(x))[:, 1:]
    return torch.stack([pred[b, ids] for b, ids in enumerate(split.ids_masked)])


def _slow_losses(model, images, noise, temperature=0.5):
    vit = model.backbone
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16)  # (B, 3, 4, 4, 16, 16)
    patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)  # (B, 16, 3, 16, 16)
    weight = vit.patch_embed.proj.weight
    tokens = torch.einsum('bnchw,dchw->bnd', patches, weight)
    tokens = tokens + vit.patch_embed.proj.bias + vit.pos_embed[:, 1:]

    _, scores = _slow_encode(vit, tokens)
    order = (scores.softmax(1) / noise.softmax(1)).argsort(1)
    mask = torch.zeros_like(order, dtype=torch.bool).scatter(1, order[:, 4:], True)
    split = TokenSplit(order[:, :4], order[:, 4:], mask)
    pick = [torch.stack([t[i] for t, i in zip(tokens, ids, strict=True)])
            for ids in (order[:, :4], order[:, 4:])]  # fmt: skip
    visible, masked = (_slow_encode(vit, part)[0] for part in pick)

    target = patches.permute(0, 1, 3, 4, 2).flatten(2)
    mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
    target = (target - mean) / (variance + 1e-6).sqrt()
    target = torch.stack([t[i] for t, i in zip(target, order[:, 4:], strict=True)])
    reconstruction = (_slow_decode(model.decoder, visible, split) - target) ** 2

    query = model.contrast.projector(visible[:, 0])
    key = model.contrast.projector(masked[:, 0]).detach()
    query, key = (x / x.norm(dim=1, keepdim=True) for x in (query, key))
    logits = query @ key.T / temperature
    nce = -(logits.diag() - logits.exp().sum(1).log()).mean()
    return reconstruction.mean(), 2 * temperature * nce


@pytest.mark.parametrize('batch', [2, 4])
def test_ccmim_against_a_slow_oracle(tiny_ccmim, images, batch):
    """float64: losses within 1e-12, gradients within 1e-10."""
    model = tiny_ccmim(contrast_weight=0.3).double()
    images = images[:batch].double()
    torch.manual_seed(5)
    noise = torch.rand(batch, 16, dtype=torch.float64)
    reconstruction, contrast = _slow_losses(model, images, noise)
    torch.manual_seed(5)
    losses = model.loss(images)
    slow = dict(reconstruction=reconstruction.item(), contrast=0.3 * contrast.item())
    for name, value in slow.items():
        assert losses[f'loss_{name}'].item() == pytest.approx(value, abs=1e-12)
    total = losses['loss_reconstruction'] + losses['loss_contrast']
    assert_same_gradients(model, total, reconstruction + 0.3 * contrast)


def test_mae_is_ccmim_without_scores_and_contrast(tiny_mae, tiny_ccmim, images):
    mae = tiny_mae()
    ccmim = tiny_ccmim(
        scorer=dict(type='ccmim.ConstantScorer'),
        sampler=dict(type='ccmim.RandomSampler'),
        contrast_weight=0.0,
    )
    ccmim.load_state_dict(mae.state_dict(), strict=False)
    torch.manual_seed(1)
    ours = mae.loss(images)
    torch.manual_seed(1)
    theirs = ccmim.loss(images)
    assert torch.equal(ours['loss_reconstruction'], theirs['loss_reconstruction'])
    assert theirs['loss_contrast'] == 0
    assert ours['mask_importance_gap'] == 0


def test_gradient_of_the_masked_stream_is_optional(tiny_ccmim, images):
    """grad='both' changes gradients, not losses."""
    one, both = tiny_ccmim(), tiny_ccmim(contrast=dict(grad='both'))
    both.load_state_dict(one.state_dict())
    values, gradients = [], []
    for model in (one, both):
        torch.manual_seed(2)
        loss = model.loss(images)['loss_contrast']
        loss.backward()
        values.append(loss.item())
        gradients.append(model.backbone.blocks[0].attn.qkv.weight.grad)
    assert values[0] == pytest.approx(values[1], abs=1e-6)
    assert (gradients[0] - gradients[1]).norm() > 0.1 * gradients[0].norm()


@pytest.mark.parametrize('method', ['tiny_ccmim', 'tiny_mae'])
def test_the_gap_is_of_all_masked_patches_whichever_are_decoded(
    method, images, request
):
    scorer = dict(type='ccmim.ClassAttentionScorer', _delete_=True)
    model, seen = request.getfixturevalue(method)(decoded_ratio=0.25, scorer=scorer), {}
    model.sampler.register_forward_hook(
        lambda module, args, split: seen.update(scores=args[0], split=split)
    )
    gap = model.loss(images)['mask_importance_gap']
    assert torch.equal(gap, importance_gap(**seen))
    some = some_masked(seen['split'], 0.25)
    assert not torch.isclose(gap, importance_gap(seen['scores'], some), rtol=1e-3)
