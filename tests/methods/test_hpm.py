"""HPM against a slow oracle; what it predicts comes to order the errors."""

import pytest
import torch
from mmengine.logging import MessageHub

from ccmim.heads import HardnessPredictor
from ccmim.teachers import EMATeacher
from tests.methods import oracles


def _slow_decode(decoder, tokens, mask):
    """Tokens (N + 1, D) in the order of the grid, hidden ones as a token; (N, out)."""
    x = decoder.embed(tokens)
    token = decoder.mask_token[0, 0]
    rows = [token if hidden else row for hidden, row in zip(mask, x[1:], strict=True)]
    x = (torch.stack([x[0], *rows]) + decoder.pos_embed[0])[None]
    for block in decoder.blocks:
        x = oracles.slow_block(block, x)
    return decoder.pred(decoder.norm(x))[0, 1:]


def _slow_losses(model, images, split):
    """Published: MAE's loss, and cross-entropy over the pairs of masked patches."""
    errors, ranking, pairs = [], 0.0, 0
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 4, 5, 1)
    for b, patches_of_image in enumerate(patches.flatten(1, 2).flatten(2)):
        shown = split.ids_visible[b]
        embedded = model.backbone.embed(images[b : b + 1], shown[None])
        encoded = model.backbone.encode(embedded)[0]
        full = torch.zeros(17, 32, dtype=images.dtype)
        full = full.index_put((torch.cat([torch.tensor([0]), 1 + shown]),), encoded)
        mask = split.mask[b].tolist()
        pred = _slow_decode(model.decoder, full, mask)
        predicted = _slow_decode(model.predictor.decoder, full, mask)[:, 0]
        hidden = [i for i in range(16) if mask[i]]
        mine = []
        for i in hidden:
            target = patches_of_image[i]
            target = (target - target.mean()) / (target.var() + 1e-6).sqrt()
            mine.append((pred[i] - target).square().mean())
        errors += mine
        for i, error in zip(hidden, mine, strict=True):
            for j, other in zip(hidden, mine, strict=True):
                if error > other:
                    ranking = ranking - (predicted[i] - predicted[j]).sigmoid().log()
                    pairs += 1
    return torch.stack(errors).mean(), ranking / pairs


def test_against_a_slow_oracle(tiny_hpm, images):
    """float64: losses within 1e-12, gradients within 1e-10."""
    model, images = tiny_hpm().double(), images[:2].double()
    seen = oracles.drawn(model)
    losses = model.loss(images)
    slow = _slow_losses(model, images, seen['split'])
    for name, value in zip(('reconstruction', 'hardness'), slow, strict=True):
        assert losses[f'loss_{name}'].item() == pytest.approx(value.item(), abs=1e-12)
    total = losses['loss_reconstruction'] + losses['loss_hardness']
    oracles.assert_same_gradients(model, total, sum(slow))


def test_scores_are_the_slow_networks_of_the_full_image(tiny_hpm, images):
    """No patch hidden; softmax of what the slow predictor predicts."""
    model, seen = tiny_hpm().double(), {}
    oracles.make_lag(model)
    model.sampler.register_forward_hook(lambda *a: seen.update(scores=a[1][0]))
    model.loss(images.double())
    tokens = oracles.slow_encode(model.teacher.backbone, images.double())
    decoder = model.teacher.projector.decoder
    for mine, row in zip(seen['scores'], tokens, strict=True):
        predicted = _slow_decode(decoder, row, [False] * 16)[:, 0]
        expected = predicted.softmax(0)
        torch.testing.assert_close(mine.double(), expected, atol=1e-6, rtol=0)
    assert not seen['scores'].requires_grad


def test_outputs_of_a_patch_are_averaged(images):
    """Their spread is sqrt(2 W / (n (W + n))): each is a draw of Xavier's."""
    spreads = []
    for n in (1, 48):
        torch.manual_seed(0)
        found = []
        for _ in range(100):
            sizes = dict(embed_dim=64, depth=1, num_heads=4)
            predictor = HardnessPredictor(32, 64, 16, out_dim=n, **sizes)
            with torch.no_grad():
                found.append(predictor(torch.randn(1, 17, 32))[0, :2])
        spreads.append(torch.cat(found).std().item())
        assert spreads[-1] == pytest.approx((128 / (n * (64 + n))) ** 0.5, rel=0.15)


@pytest.mark.parametrize(('step', 'ratio'), [(1, 0), (10, 0), (11, 0.25), (95, 1)])
def test_momentum_rises_in_the_first_epochs(step, ratio):
    """HPM's code: linearly over the first, one value an epoch, then no more."""
    hub = MessageHub.get_current_instance()
    for name, value in dict(iter=step, max_iters=100, max_epochs=10).items():
        hub.update_info(name, value)
    student = torch.nn.Linear(1, 1, bias=False)
    teacher = EMATeacher(student, torch.nn.Identity(), 0.5, 0.9, rise_epochs=4).train()
    teacher.started = True
    with torch.no_grad():
        student.weight.add_(1.0)
    before = teacher.backbone.weight.item()
    teacher.update(student, torch.nn.Identity())
    momentum = 1 - (teacher.backbone.weight.item() - before)
    assert momentum == pytest.approx(0.5 + 0.4 * ratio, abs=1e-5)


@pytest.mark.slow
def test_it_learns_which_patches_are_hard(tiny_hpm):
    """Half of the patches are noise, the others flat: log 2 = 0.69 by chance."""
    model, values = tiny_hpm(reconstruction=dict(norm_pix=False)), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    noisy = (torch.arange(16) % 2).reshape(4, 4)
    area = noisy.repeat_interleave(16, 0).repeat_interleave(16, 1)
    for _ in range(150):
        losses = model.loss(torch.randn(8, 3, 64, 64) * area)
        optimizer.zero_grad()
        (losses['loss_reconstruction'] + losses['loss_hardness']).backward()
        optimizer.step()
        values.append(losses['loss_hardness'].item())
    assert sum(values[-10:]) / 10 < 0.45
