"""Methods with contrasts under DDP: two processes with batch n are one with batch 2n.

Needs the same draws for the same images, so each process takes its rows of the noise
or all images have the same, and the statistics of the joined batch.
"""

import copy

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.methods.conftest import TINY_LIO, TINY_RELATIONAL
from tests.two_processes import in_two_processes

BATCH = 2
PLAIN = dict(jitter_prob=0.0, gray_prob=0.0, blur_prob=0.0, solarize_prob=0.0)
NOISE = torch.rand(2 * BATCH, 16, generator=torch.Generator().manual_seed(4)).double()


def _alike(shape, **_):
    """Draw the same for each image: its crops (4, B), or an order of patches (B, n)."""
    if shape[1] <= 2 * BATCH:
        return (torch.arange(shape[0]) * 0.37 % 1)[:, None].expand(shape)
    return (torch.arange(shape[1]) * 0.618 % 1).expand(shape)


def _step(model, images, given):
    """One SGD step; the loss and the state after it."""
    inner = getattr(model, 'module', model)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.1)
    losses = model(images, mode='loss', **given)
    loss = sum(v for k, v in losses.items() if k.startswith('loss_'))
    loss.backward()
    optimizer.step()
    return loss.detach(), inner.state_dict()


def _one_of_two(rank, cases):
    part = slice(rank * BATCH, (rank + 1) * BATCH)
    torch.rand_like = lambda scores: NOISE[part]
    results = []
    for model, images, given in cases:
        model = copy.deepcopy(model)  # the parameters came in shared memory
        wrapped = DistributedDataParallel(model, broadcast_buffers=False)
        own = {key: values[part] for key, values in given.items()}
        loss, state = _step(wrapped, images[part], own)
        distributed.all_reduce(loss)
        results.append((loss / 2, state))
    return results


def _models(get):
    for grad in ('visible', 'both'):
        options = dict(contrast=dict(grad=grad, batch_norm='global'), contrast_weight=1)
        yield get('tiny_ccmim')(**options), 'images', {}
    for name in ('simclr', 'densecl', 'neco'):
        yield get(f'tiny_{name}')(perturbation=PLAIN), 'views', {}
    # Equal captions lie on different processes; a group of a class on each.
    captions = ['a dog', 'a cat on a mat', 'a dog', 'two dogs run on']
    flip = get('tiny_flip')(mask_ratio=0.0)
    flip.tokenizer.learn(captions)
    yield flip, 'images', dict(captions=captions)
    yield get('builder')(TINY_RELATIONAL)(), 'images', {}
    lio = get('builder')(TINY_LIO)()
    yield lio, 'images', dict(labels=torch.tensor([0, 0, 2, 2]))


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_are_one(request, tmp_path, monkeypatch):
    """Losses, weights, statistics and queues after a step, on both processes."""
    get = request.getfixturevalue
    cases = [
        (m.double(), get(batch).double(), given) for m, batch, given in _models(get)
    ]
    monkeypatch.setattr(torch, 'rand', _alike)
    found = in_two_processes(tmp_path, _one_of_two, cases)
    monkeypatch.setattr(torch, 'rand_like', lambda scores: NOISE)
    joined = [_step(*case) for case in cases]
    for results in found:
        for (loss, state), (alone, expected) in zip(results, joined, strict=True):
            assert loss.item() == pytest.approx(alone.item(), abs=1e-12)
            for name, value in expected.items():
                torch.testing.assert_close(state[name], value, atol=1e-12, rtol=0)
