"""Centrality against networkx and against dense linear algebra."""

import networkx
import numpy as np
import pytest
import torch

from ccmim.masking import CentralityScorer, degree, eigenvector, pagerank


@pytest.fixture
def weights():
    """Attention among 9 patches, some of which get much of it; rows sum below one."""
    torch.manual_seed(0)
    logits = torch.randn(3, 9, 10, dtype=torch.float64) + 2 * torch.randn(3, 1, 10)
    return logits.softmax(dim=2)[:, :, 1:]


def _graphs(weights):
    return [networkx.from_numpy_array(w.numpy(), create_using=networkx.DiGraph)
            for w in weights]  # fmt: skip


def _values(rates):
    return [rates[node] for node in range(9)]


def test_degree_is_the_weighted_in_degree(weights):
    for ours, graph in zip(degree(weights), _graphs(weights), strict=True):
        theirs = _values(dict(graph.in_degree(weight='weight')))
        assert ours.tolist() == pytest.approx(theirs, abs=1e-12)


def test_eigenvector(weights):
    """networkx's has length one; the left eigenvector by numpy as well."""
    rates = eigenvector(weights)
    for ours, matrix, graph in zip(rates, weights, _graphs(weights), strict=True):
        theirs = _values(networkx.eigenvector_centrality_numpy(graph, 'weight'))
        unit = ours / ours.norm()
        assert unit.tolist() == pytest.approx(theirs, abs=1e-9)
        values, vectors = np.linalg.eig(matrix.numpy().T)
        dense = vectors[:, values.real.argmax()].real
        assert ours.numpy() == pytest.approx(dense / dense.sum(), abs=1e-9)


@pytest.mark.parametrize('jump', [0.15, 0.5])
def test_pagerank(weights, jump):
    """networkx, and the solution of (I - (1 - jump) P') x = jump / N."""
    rates = pagerank(weights, jump)
    for ours, matrix, graph in zip(rates, weights, _graphs(weights), strict=True):
        theirs = networkx.pagerank(graph, 1 - jump, tol=1e-12, weight='weight')
        assert ours.tolist() == pytest.approx(_values(theirs), abs=1e-8)
        steps = (matrix / matrix.sum(1, keepdim=True)).numpy()
        system = np.eye(9) - (1 - jump) * steps.T
        exact = np.linalg.solve(system, np.full(9, jump / 9))
        assert ours.numpy() == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize('name', ['degree', 'eigenvector', 'pagerank'])
def test_the_graph_is_the_attention_of_the_last_block(tiny_vit, images, name):
    """Among patches, averaged over heads; in float32 whatever the pass is in."""
    vit = tiny_vit()
    scorer, x = CentralityScorer(name), vit.embed(images)
    token = (vit.cls_token + vit.pos_embed[:, :1]).expand(4, -1, -1)
    x = vit.blocks[0](torch.cat([token, x], dim=1))
    q, k, _ = vit.blocks[1].attn.heads(vit.blocks[1].norm1(x))
    attention = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(3).mean(1)
    oracle = dict(degree=degree, eigenvector=eigenvector, pagerank=pagerank)[name]
    expected = oracle(attention[:, 1:, 1:])
    torch.testing.assert_close(scorer(vit, images), expected, atol=1e-6, rtol=0)
    with torch.autocast('cpu', torch.bfloat16):
        half = scorer(vit, images)
        assert torch.equal(oracle(attention[:, 1:, 1:]), expected)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, atol=2e-3, rtol=0.05)
