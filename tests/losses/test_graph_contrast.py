"""GCA's corruptions in closed form, its loss against loops, and what it may not do."""

import json
import math
from pathlib import Path

import pytest
import torch

from ccmim.losses import GraphContrast
from ccmim.losses.graph_contrast import channel_mask, edge_drop, join
from tests import tiny_methods
from tests.golden import record_family as recorder

GOLDEN = Path(__file__).parents[1] / 'golden'


def _star():
    """A hub, 0, that five others attend to, and that attends to all alike."""
    attention = torch.full((1, 6, 6), 0.02)
    attention[0, :, 0] = 0.9
    attention[0, 0] = 1 / 6
    return attention


def test_edges_are_those_of_the_most_mutual_attention():
    edges = join(_star(), 1)[0]
    assert torch.equal(edges, edges.T)
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[0, 1:] = expected[1:, 0] = True
    assert torch.equal(edges, expected)
    assert join(_star(), 99)[0].sum() == 30  # all but those to itself
    one_sided = torch.tensor([[0, 0.5, 0.4], [0.1, 0, 0.2], [0.5, 0.0, 0]])
    assert join(one_sided[None], 1)[0].tolist() == [
        [False, True, True],
        [True, False, False],
        [True, False, False],
    ]  # both of 0 and 2 ask for each other, and 1 for 0


def test_probabilities_in_closed_form():
    """Edge by edge, p = min((s_max - s) / (s_max - s_mean) p_e, cap); mean is p_e."""
    torch.manual_seed(0)
    attention = torch.rand(2, 6, 6).softmax(2)
    edges, central = join(attention, 2), torch.rand(2, 6) + 0.1
    found = edge_drop(edges, central, 0.2, cap=1.0)
    for image in range(2):
        pairs = edges[image].nonzero().tolist()
        c = central[image].tolist()
        score = {(i, j): math.log(c[i]) + math.log(c[j]) for i, j in pairs}
        high, mean = max(score.values()), sum(score.values()) / len(score)
        for (i, j), s in score.items():
            expected = min((high - s) / (high - mean) * 0.2, 1.0)
            assert found[image, i, j].item() == pytest.approx(expected, abs=1e-5)
        every = [found[image, i, j].item() for i, j in pairs]
        if max(every) < 1:
            assert sum(every) / len(every) == pytest.approx(0.2, abs=1e-5)
    assert edge_drop(edges, central, 0.9, cap=0.7).max() == pytest.approx(0.7)
    assert (edge_drop(edges, None, 0.2, 0.7) == 0.2).all()
    alike = edge_drop(edges, torch.ones(2, 6), 0.2, 0.7)
    torch.testing.assert_close(alike, torch.full_like(alike, 0.2))
    nodes = torch.randn(2, 6, 3)
    hidden = channel_mask(nodes, central, 0.3, cap=1.0)
    for image in range(2):
        score = (nodes[image].abs() * central[image, :, None]).sum(0).log().tolist()
        high, mean = max(score), sum(score) / 3
        expected = [min((high - s) / (high - mean) * 0.3, 1.0) for s in score]
        assert hidden[image].tolist() == pytest.approx(expected, abs=1e-4)


def _slow_loss(part, nodes, edges):
    """Two graph layers by sums over neighbors; all nodes of both views, by loops."""
    views = []
    for x, joined in zip(nodes, edges, strict=True):
        rows = range(len(x))
        near = [[j for j in rows if j == i or joined[i, j]] for i in rows]
        for layer in (part.first, part.second):
            y, means = x @ layer.weight.T + layer.bias, []
            for own in near:
                roots = {j: math.sqrt(len(own) * len(near[j])) for j in own}
                means.append(sum(y[j] / roots[j] for j in own))
            x = torch.stack(means).clamp(min=0)
        views.append(part.projector(x))
    total = 0.0
    for u, v in (views, views[::-1]):
        for i in range(len(u)):

            def like(a, b):
                return (a @ b / a.norm() / b.norm() / part.temperature).exp()

            others = sum(like(u[i], v[k]) for k in range(len(v)))
            others = others + sum(like(u[i], u[k]) for k in range(len(u)) if k != i)
            total = total - (like(u[i], v[i]) / others).log() / (2 * len(u))
    return total


def test_against_the_published_code():
    """Recorded by tests/golden/record_family.py: probabilities and contrast."""
    recorded = json.loads((GOLDEN / 'family_published.json').read_text())['gca']
    central = torch.tensor(recorded['central'], dtype=torch.float64)[None]
    rows, columns = recorder.edge_index()
    edges = torch.zeros(1, recorder.NODES, recorder.NODES, dtype=torch.bool)
    edges[0, rows, columns] = True
    drop = edge_drop(edges, central, 0.1, cap=1.0)[0, rows, columns]
    weights = torch.tensor(recorded['edge_weights'])
    torch.testing.assert_close(drop, 0.1 * weights, atol=1e-6, rtol=0)
    nodes = recorder.wave(1, 1, recorder.NODES, recorder.CHANNELS)
    hide = channel_mask(nodes, central, 0.1, cap=1.0)[0]
    weights = torch.tensor(recorded['channel_weights'], dtype=torch.float64)
    torch.testing.assert_close(hide, 0.1 * weights, atol=1e-12, rtol=0)

    part = GraphContrast(recorder.CHANNELS, 2 * recorder.OUT, recorder.OUT).double()
    ours = dict(
        encoder_conv_0=part.first, encoder_conv_1=part.second,
        fc1=part.projector.fc1, fc2=part.projector.fc2,
    )  # fmt: skip
    with torch.no_grad():
        for i, name in enumerate(recorded['parameters']):
            layer, _, kind = name.replace('.lin', '').rpartition('.')
            parameter = getattr(ours[layer.replace('.', '_')], kind)
            is_bias = layer.startswith('encoder') and kind == 'bias'
            parameter.copy_((not is_bias) * recorder.wave(2 + i, *parameter.shape))
        fewer = edges.clone()
        fewer[0, [0, 4], [4, 0]] = False
        hidden = nodes * torch.tensor([1.0, 1.0, 0.0, 1.0])
        u = torch.nn.functional.normalize(part._encode(nodes, edges), dim=2)
        v = torch.nn.functional.normalize(part._encode(hidden, fewer), dim=2)
        found = (part._find(u, v)[0] + part._find(v, u)[0]) / 2
    assert found.item() == pytest.approx(recorded['contrast'], abs=1e-12)


@pytest.mark.parametrize('centrality', ['pagerank', 'uniform'])
def test_loss_against_a_slow_oracle(centrality):
    """float64: within 1e-10, gradients within 1e-9, with what was drawn."""
    torch.manual_seed(0)
    part = GraphContrast(5, 6, 4, centrality, neighbors=2, weight=0.5).double()
    nodes = torch.randn(2, 7, 5, dtype=torch.float64, requires_grad=True)
    attention = torch.rand(2, 7, 7, dtype=torch.float64).softmax(2)
    torch.manual_seed(3)
    losses = part.contrast(nodes, attention)
    torch.manual_seed(3)
    edges = join(attention, 2)
    central = None if part.centrality is None else part.centrality(attention)
    views = []
    for edge_rate, channel_rate in ((0.3, 0.1), (0.4, 0.0)):
        drop = edge_drop(edges, central, edge_rate, 0.7)
        lots = torch.rand(2, 7, 7).triu(1)
        kept = edges & (lots + lots.transpose(1, 2) >= drop)
        assert torch.equal(kept, kept.transpose(1, 2))
        hide = channel_mask(nodes, central, channel_rate, 0.7)
        views.append((nodes * (torch.rand(2, 5) >= hide)[:, None], kept))
    slow = sum(
        _slow_loss(part, [x[b] for x, _ in views], [e[b] for _, e in views])
        for b in range(2)
    )
    assert losses['loss_graph'].item() == pytest.approx(0.25 * slow.item(), abs=1e-10)
    values = [nodes, *part.parameters()]
    ours = torch.autograd.grad(losses['loss_graph'], values)
    theirs = torch.autograd.grad(0.25 * slow, values)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=0)


@pytest.mark.parametrize('name', ['mae', 'simmim', 'soho'])
def test_any_masked_method_takes_it(name):
    model = tiny_methods.build(name, extra=dict(type='ccmim.GraphContrast'))
    losses = model(tiny_methods.batch(model), mode='loss')
    assert 0 <= losses['graph_accuracy'] <= 1
    losses['loss_graph'].backward()
    assert model.backbone.blocks[0].attn.qkv.weight.grad.abs().sum() > 0


def test_without_positions_what_all_images_share_is_gone():
    torch.manual_seed(0)
    extra = dict(type='ccmim.GraphContrast', positions=False)
    model = tiny_methods.build('mae', extra=extra)
    images, seen = tiny_methods.batch(model), {}
    model.extra.first.register_forward_pre_hook(lambda _, x: seen.update(x=x[0]))
    model.extra.corruptions = ((0.0, 0.0), (0.0, 0.0))
    model(images, mode='loss')
    assert seen['x'].mean(dim=0).abs().max() < 1e-5
