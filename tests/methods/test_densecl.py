"""DenseCL against a slow oracle; its queues and teacher move as they should."""

import pytest
import torch
from mmengine.logging import MessageHub

from tests.methods.oracles import assert_same_gradients, make_lag, slow_encode


def _cells(tokens):
    """Means of 2 x 2 patches of a 4 x 4 grid: (B, 17, D) to (B, 4, D)."""
    patches = tokens[:, 1:].reshape(len(tokens), 4, 4, -1)
    means = [
        patches[:, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean((1, 2))
        for r in range(2)
        for c in range(2)
    ]
    return torch.stack(means, dim=1)


def _project(mlp, x):
    hidden = (x @ mlp.fc1.weight.T + mlp.fc1.bias).clamp(min=0)
    return hidden @ mlp.fc2.weight.T + mlp.fc2.bias


def _unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def _slow_nce(query, key, queue, temperature):
    logits = [query @ key / temperature]
    logits += [query @ other / temperature for other in queue]
    return torch.stack(logits).logsumexp(0) - logits[0]


def _slow_losses(model, first, second, temperature):
    """Published: the key of a cell is that of the most similar cell; queues apart."""
    tokens = slow_encode(model.backbone, first)
    with torch.no_grad():
        teacher_tokens = slow_encode(model.teacher.backbone, second)
    features, slow_features = _cells(tokens), _cells(teacher_tokens)
    whole = _unit(_project(model.projector.whole, tokens[:, 0]))
    cells = _unit(_project(model.projector.cells, features))
    keys = _unit(_project(model.teacher.projector.whole, teacher_tokens[:, 0])).detach()
    dense = _project(model.teacher.projector.cells, slow_features).detach()
    queues = model.contrast.queue.clone(), model.dense_contrast.queue.clone()
    pairs = zip(whole, keys, strict=True)
    one = [_slow_nce(q, k, queues[0], temperature) for q, k in pairs]
    many = []
    for b in range(len(first)):
        for s in range(4):
            alike = [_unit(features[b, s]) @ _unit(k) for k in slow_features[b]]
            key = _unit(dense[b, max(range(4), key=lambda i: alike[i].item())])
            many.append(_slow_nce(cells[b, s], key, queues[1], temperature))
    new = keys, _unit(dense.mean(1))
    return torch.stack(one).mean(), torch.stack(many).mean(), new


@pytest.fixture
def lagging(tiny_densecl):
    """A tiny DenseCL in float64 whose teacher differs from the fast one."""
    model = tiny_densecl(dense_weight=0.25).double()
    make_lag(model)
    return model


def test_against_a_slow_oracle(lagging, views):
    """float64: losses within 1e-10, gradients within 1e-10; what enters the queues."""
    views, seen = views[:3].double(), []
    lagging.perturbation.register_forward_hook(lambda *a: seen.append(a[-1]))
    old = lagging.contrast.queue.clone(), lagging.dense_contrast.queue.clone()
    torch.manual_seed(3)
    lagging.eval().loss(views)  # for the views; nothing moves
    whole, dense, new = _slow_losses(lagging, *seen, 0.5)
    torch.manual_seed(3)
    losses = lagging.train().loss(views)
    for name, slow in ('contrast', 0.75 * whole), ('dense', 0.25 * dense):
        assert losses[f'loss_{name}'].item() == pytest.approx(slow.item(), abs=1e-10)
    slow = 0.75 * whole + 0.25 * dense
    assert_same_gradients(lagging, sum(losses.values()), slow)
    contrasts = lagging.contrast, lagging.dense_contrast
    for contrast, before, keys in zip(contrasts, old, new, strict=True):
        assert contrast.queue.shape == before.shape
        torch.testing.assert_close(contrast.queue[:3], keys, atol=1e-12, rtol=0)
        assert torch.equal(contrast.queue[3:], before[:-3])


def test_cells_wait_until_features_are_learned(tiny_densecl, views):
    """Before step `dense_begin` the whole views count alone."""
    model, hub = tiny_densecl(dense_begin=1), MessageHub.get_current_instance()
    shares = [model.loss(views)['loss_dense'].item() > 0]  # outside of a run
    for iteration in (0, 1):
        hub.update_info('iter', iteration)
        hub.update_info('max_iters', 100)
        losses = model.loss(views)
        shares.append(losses['loss_dense'].item() > 0)
    assert shares == [False, False, True]
