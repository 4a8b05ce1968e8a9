"""Two processes that talk by gloo, forked from that of the tests."""

import os

import torch
from torch import distributed, multiprocessing


def in_two_processes(folder, work, *given):
    """Call ``work(rank, *given)`` in both: what each of them returns."""
    multiprocessing.start_processes(
        _one_of_two, (folder, work, given), nprocs=2, start_method='fork'
    )
    files = [folder / f'returned{rank}' for rank in range(2)]
    return [torch.load(file, weights_only=False) for file in files]


def _one_of_two(rank, folder, work, given):
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    store = f'file://{folder}/store'
    distributed.init_process_group('gloo', store, rank=rank, world_size=2)
    torch.save(work(rank, *given), folder / f'returned{rank}')
    distributed.barrier()
    # Gloo's threads and the interpreter's lock may wait for each other in destructors.
    os._exit(0)
