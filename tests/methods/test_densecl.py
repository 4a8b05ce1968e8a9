"""DenseCL against a slow oracle; its queues and teacher move as they should."""

import math

import pytest
import torch
from mmengine.logging import MessageHub

from ccmim.methods.densecl import most_similar


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


def _slow_losses(model, slow_encode, first, second, temperature):
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
    one = [
        _slow_nce(q, k, queues[0], temperature)
        for q, k in zip(whole, keys, strict=True)
    ]
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
    for parameter in model.teacher.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.teacher.momentum, model.teacher.started = 1.0, True
    return model


def test_against_a_slow_oracle(lagging, slow_encode, views):
    """float64: losses within 1e-10, gradients within 1e-10; what enters the queues."""
    views, seen = views[:3].double(), []
    lagging.perturbation.register_forward_hook(lambda *a: seen.append(a[-1]))
    old = lagging.contrast.queue.clone(), lagging.dense_contrast.queue.clone()
    torch.manual_seed(3)
    lagging.eval().loss(views)  # for the views; nothing moves
    whole, dense, new = _slow_losses(lagging, slow_encode, *seen, 0.5)
    torch.manual_seed(3)
    losses = lagging.train().loss(views)
    assert losses['loss_contrast'].item() == pytest.approx(
        0.75 * whole.item(), abs=1e-10
    )
    assert losses['loss_dense'].item() == pytest.approx(0.25 * dense.item(), abs=1e-10)
    parameters = [p for p in lagging.parameters() if p.requires_grad]
    ours = torch.autograd.grad(sum(losses.values()), parameters)
    theirs = torch.autograd.grad(0.75 * whole + 0.25 * dense, parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)
    contrasts = lagging.contrast, lagging.dense_contrast
    for contrast, before, keys in zip(contrasts, old, new, strict=True):
        assert contrast.queue.shape == before.shape
        torch.testing.assert_close(contrast.queue[:3], keys, atol=1e-12, rtol=0)
        assert torch.equal(contrast.queue[3:], before[:-3])


def test_most_similar_is_by_cosine():
    """Not by the product: the long key is not the nearest one."""
    queries = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    keys = torch.tensor([[[5.0, 5.0], [0.1, 0.0], [0.0, 1.0]]])
    assert most_similar(queries, keys).tolist() == [[1, 0]]


def test_evaluation_moves_nothing(tiny_densecl, views):
    model = tiny_densecl().eval()
    with torch.no_grad():
        model.backbone.norm.weight.add_(1.0)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.loss(views)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


def test_the_slow_network_follows(tiny_densecl, views):
    """slow = 0.9 slow + 0.1 fast, backbone and projector, before the first step."""
    model = tiny_densecl()
    model.teacher.started = True
    with torch.no_grad():
        for parameter in [*model.backbone.parameters(), *model.projector.parameters()]:
            parameter.add_(1.0)
    before = [p.clone() for p in model.teacher.parameters()]
    model.loss(views)
    for old, new in zip(before, model.teacher.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 0.1))


def test_cells_wait_until_features_are_learned(tiny_densecl, views):
    """Before step `dense_begin` the whole views count alone."""
    model, hub = tiny_densecl(dense_begin=10), MessageHub.get_current_instance()
    shares = []
    for iteration in (9, 10):
        hub.update_info('iter', iteration)
        hub.update_info('max_iters', 100)
        losses = model.loss(views)
        shares.append((losses['loss_dense'] > 0).item())
    assert shares == [False, True]


def test_only_the_fast_network_is_trained(tiny_densecl, views):
    model = tiny_densecl()
    sum(model.loss(views).values()).backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert {n.split('.')[0] for n in trained} == {'backbone', 'projector'}
    assert [n for n, p in trained.items() if p.grad is None] == []


def test_first_loss_is_near_that_of_chance(tiny_densecl, views):
    """A random queue of K keys, T large: log(1 + K)."""
    model = tiny_densecl(
        contrast=dict(temperature=1e3), dense_contrast=dict(temperature=1e3)
    )
    losses = model.loss(views)
    total = (losses['loss_contrast'] + losses['loss_dense']).item()
    assert total == pytest.approx(math.log(13), abs=1e-2)


def test_patches_fill_the_cells(tiny_densecl):
    with pytest.raises(ValueError, match='cells=3 must divide'):
        tiny_densecl(cells=3)
