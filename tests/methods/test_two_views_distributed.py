"""SimCLR, DenseCL, NeCo under DDP: two processes with batch n are one with batch 2n."""

import copy
import os

import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

pytestmark = pytest.mark.dist
BATCH = 2
PLAIN = dict(jitter_prob=0.0, gray_prob=0.0, blur_prob=0.0, solarize_prob=0.0)


def _step(model, views):
    """One SGD step; the loss and the state after it."""
    inner = getattr(model, 'module', model)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.1)
    losses = model(views, mode='loss')
    loss = sum(v for k, v in losses.items() if k.startswith('loss_'))
    loss.backward()
    optimizer.step()
    return loss.detach(), inner.state_dict()


def _worker(rank, folder, models, views):
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    results = []
    for model in models:
        model = copy.deepcopy(model)  # the parameters came in shared memory
        wrapped = DistributedDataParallel(model, broadcast_buffers=False)
        loss, state = _step(wrapped, views[rank * BATCH : (rank + 1) * BATCH])
        distributed.all_reduce(loss)
        results.append((loss / 2, state))
    torch.save(results, f'{folder}/rank{rank}')
    distributed.barrier()
    # Gloo's threads and the interpreter's lock may wait for each other in destructors.
    os._exit(0)


def _alike(shape, **_):
    """Draw the same for each image: its crops (4, B), or an order of patches (B, n)."""
    if shape[1] <= 2 * BATCH:
        return (torch.arange(shape[0]) * 0.37 % 1)[:, None].expand(shape)
    return (torch.arange(shape[1]) * 0.618 % 1).expand(shape)


@pytest.mark.slow
def test_two_processes_are_one(
    tiny_simclr, tiny_densecl, tiny_neco, views, tmp_path, monkeypatch
):
    """Losses, weights, statistics and queues after a step, on both processes."""
    builders = tiny_simclr, tiny_densecl, tiny_neco
    models = [build(perturbation=PLAIN).double() for build in builders]
    monkeypatch.setattr(torch, 'rand', _alike)
    mp.start_processes(
        _worker, (str(tmp_path), models, views.double()), nprocs=2, start_method='fork'
    )
    joined = [_step(model, views.double()) for model in models]
    for rank in range(2):
        results = torch.load(tmp_path / f'rank{rank}')
        for (loss, state), (alone, expected) in zip(results, joined, strict=True):
            assert loss.item() == pytest.approx(alone.item(), abs=1e-12)
            for name, value in expected.items():
                torch.testing.assert_close(state[name], value, atol=1e-12, rtol=0)
