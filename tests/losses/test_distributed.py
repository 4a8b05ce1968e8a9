"""Two processes with batch n are one process with batch 2n.

Each process computes its own losses; gradients are averaged, as DDP does. With
``batch_norm='global'`` the projector's statistics are those of the joined batch and
everything agrees. With 'local', the published choice, each process normalizes its own
half, and the oracle is one process that does so too.
"""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import distributed

from ccmim import losses
from tests.two_processes import in_two_processes

pytestmark = pytest.mark.dist
BATCH, DIM = 4, 8
OPTIONS = list(product(('visible', 'both'), ('local', 'global')))


def _inputs():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 2 * BATCH, DIM, generator=generator, dtype=torch.float64)


def _contrast(grad, batch_norm):
    torch.manual_seed(0)
    contrast = losses.SingleViewContrast(
        DIM, out_dim=6, grad=grad, batch_norm=batch_norm
    )
    return contrast.double()


def _gradients(module, loss, tokens):
    values = [*module.parameters(), *tokens]
    grads = torch.autograd.grad(loss, values, allow_unused=True)
    return [torch.zeros_like(v) if g is None else g for v, g in zip(values, grads,
            strict=True)]  # fmt: skip


def _one_of_two(rank):
    _check_summed_gradients(rank)
    _check_two_views(rank)
    _check_graphs(rank)
    _check_drawn_words(rank)
    results = {'words': _words(slice(rank, rank + 1))}
    for options in OPTIONS:
        part = slice(rank * BATCH, (rank + 1) * BATCH)
        visible, masked = (x[part].clone().requires_grad_() for x in _inputs())
        module = _contrast(*options)
        loss, _ = module(visible, masked)
        grads = _gradients(module, loss, (visible, masked))
        for grad in grads[:-2]:
            distributed.all_reduce(grad)
        tokens = [losses.gather_constant(grad) for grad in grads[-2:]]
        distributed.all_reduce(loss := loss.detach())
        results[options] = loss / 2, [g / 2 for g in grads[:-2] + tokens]
    return results


def _check_summed_gradients(rank):
    """A part's gradient is the sum of those of all processes."""
    x = torch.full((2, 1), float(rank), requires_grad=True)
    joined = losses.gather_with_grad(x)
    assert joined.flatten().tolist() == [0, 0, 1, 1]
    # Rank r weighs the four entries by (r + 1) * (1, 2, 3, 4).
    (joined.flatten() * torch.arange(1.0, 5.0) * (rank + 1)).sum().backward()
    assert x.grad.flatten().tolist() == [[3.0, 6.0], [9.0, 12.0]][rank]


def _check_two_views(rank):
    """The partner is found behind the other process's views; all keys are queued."""
    generator = torch.Generator().manual_seed(7)
    views = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)  # by rank
    loss, _ = losses.TwoViewContrast(0.5)(views[rank], views.flatten(0, 1))
    z = F.normalize(views.flatten(0, 1), dim=1)
    expected = []
    for i in range(4):
        mine, partner = 4 * rank + i, 4 * rank + (i + 2) % 4
        others = [k for k in range(8) if k != mine]
        logits = (z[others] @ z[mine]) / 0.5
        expected.append(logits.logsumexp(0) - (z[partner] @ z[mine]) / 0.5)
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    queue = losses.QueueContrast(dim=5, length=10)
    queue(views[rank], views[rank], views[rank])
    torch.testing.assert_close(queue.queue[:8].double(), z, atol=1e-6, rtol=0)
    order = losses.NeighborOrder(dim=5, length=8, num_references=8, num_new=2)
    order.remember(views[rank][None])
    assert order.filled == 4  # two of each
    own, eye = slice(2 * rank, 2 * rank + 2), torch.eye(4)
    seen = losses.ImageTextContrast()(eye[own], eye[own], torch.arange(4)[own, None])
    assert seen['loss_contrast'] < 1e-5


def _check_graphs(rank):
    """A contrast within images is the mean over processes, and over steps."""
    torch.manual_seed(0)
    part = losses.GraphContrast(
        5, 6, 4, drop_edges=(0.0, 0.0), hide_channels=(0.0, 0.0)
    )
    part, nodes = part.double(), torch.randn(4, 7, 5).double()
    attention = torch.rand(4, 7, 7).double().softmax(2)
    own = slice(2 * rank, 2 * rank + 2)
    loss = part.contrast(nodes[own], attention[own])['loss_graph'].detach()
    distributed.all_reduce(loss)
    whole = part.contrast(nodes, attention)['loss_graph']
    torch.testing.assert_close(loss / 2, whole.detach())


def _words(part):
    """A dictionary after three steps, and what was logged of the last."""
    torch.manual_seed(0)
    words = losses.VisualDictionary(3, 4, decay=0.9, redraw_below=0.0).double()
    words.counts += 1.0  # none is dead
    batches = torch.randn(3, 2, 6, 3, dtype=torch.float64)
    seen = [words.look_up(batch[part])[1] for batch in batches][-1]
    return [words.codes, words.counts, words.sums, *seen.values()]


def _check_drawn_words(rank):
    torch.manual_seed(0)
    words = losses.VisualDictionary(3, 9).double()  # all are drawn at the first step
    torch.manual_seed(rank)
    patches = torch.randn(1, 6, 3, dtype=torch.float64)
    words.look_up(patches)
    own = losses.products(words.codes, losses.unit(patches[0])).amax(1) > 0.999
    assert own.sum() == 5 - rank
    assert torch.equal(*losses.gather_constant(words.codes[None]))


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    """Losses and gradients of two processes, for each choice of options."""
    return in_two_processes(tmp_path_factory.mktemp('two'), _one_of_two)[0]


class _HalfByHalf(torch.nn.Module):
    """A projector that normalizes each half of the batch on its own."""

    def __init__(self, projector):
        super().__init__()
        self.inner = projector

    def forward(self, x):
        return torch.cat([self.inner(half) for half in x.chunk(2)])


@pytest.mark.parametrize('options', OPTIONS)
def test_two_processes_are_one(two_processes, options):
    grad, batch_norm = options
    loss, gradients = two_processes[options]
    alone = _contrast(grad, 'local')
    if batch_norm == 'local':
        alone.projector = _HalfByHalf(alone.projector)
    visible, masked = (x.clone().requires_grad_() for x in _inputs())
    expected, _ = alone(visible, masked)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    oracle = _gradients(alone, expected, (visible, masked))
    for ours, theirs in zip(gradients, oracle, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)
    assert (oracle[-1].norm() > 0) == (grad == 'both')


def test_words_are_those_of_the_joined_batch(two_processes):
    torch.testing.assert_close(two_processes['words'], _words(slice(None)))
