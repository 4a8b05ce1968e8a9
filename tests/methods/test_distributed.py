"""ccMIM under DDP: two processes with batch n step like one with batch 2n.

Needs the same noise for the same images, so each process takes its rows of it, and the
projector's statistics of the joined batch (``batch_norm='global'``).
"""

import copy
import os

import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

pytestmark = pytest.mark.dist
BATCH = 2


def _noise():
    generator = torch.Generator().manual_seed(4)
    return torch.rand(2 * BATCH, 16, generator=generator, dtype=torch.float64)


def _step(model, images):
    """One SGD step; the loss and the updated weights."""
    inner = getattr(model, 'module', model)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.1)
    losses = model(images, mode='loss')
    total = losses['loss_reconstruction'] + losses['loss_contrast']
    total.backward()
    optimizer.step()
    return total.detach(), inner.state_dict()


def _worker(rank, folder, models, images):
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    part = slice(rank * BATCH, (rank + 1) * BATCH)
    torch.rand_like = lambda scores: _noise()[part]
    results = {}
    for grad, model in models.items():
        model = copy.deepcopy(model)  # the parameters came in shared memory
        wrapped = DistributedDataParallel(model, broadcast_buffers=False)
        total, state = _step(wrapped, images[part])
        distributed.all_reduce(total)
        results[grad] = total / 2, state
    if rank == 0:
        torch.save(results, f'{folder}/results')
    distributed.barrier()
    # Gloo's threads and the interpreter's lock may wait for each other in destructors.
    os._exit(0)


@pytest.mark.slow
def test_one_step(tiny_ccmim, images, tmp_path, monkeypatch):
    """Losses, and weights after the step, with the keys' gradient off and on."""
    models = {
        grad: tiny_ccmim(
            contrast=dict(grad=grad, batch_norm='global'), contrast_weight=1.0
        ).double()
        for grad in ('visible', 'both')
    }
    mp.start_processes(
        _worker, (str(tmp_path), models, images.double()), nprocs=2, start_method='fork'
    )
    two_processes = torch.load(tmp_path / 'results')
    monkeypatch.setattr(torch, 'rand_like', lambda scores: _noise())
    for grad, model in models.items():
        loss, state = two_processes[grad]
        total, alone = _step(model, images.double())
        assert loss.item() == pytest.approx(total.item(), abs=1e-12)
        for name, value in alone.items():
            torch.testing.assert_close(state[name], value, atol=1e-12, rtol=0)
