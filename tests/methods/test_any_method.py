"""What holds for every pretraining method alike."""

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

METHODS = [
    'ccmim', 'mae', 'simmim', 'maskdistill', 'conmim',
    'amt_mae', 'amt_simmim', 'hpm', 'simclr', 'densecl',
]  # fmt: skip


class _HostReads(TorchDispatchMode):
    """Collects what makes the host wait for the device."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(name in str(func) for name in ('local_scalar_dense', 'nonzero')):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=METHODS)
def model(request):
    """A tiny model of each method."""
    return request.getfixturevalue(f'tiny_{request.param}')()


def test_a_step_reads_nothing_from_the_device(model, images):
    with _HostReads() as reads:
        losses = model.loss(images)
        sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
    assert reads.seen == []
    with reads:
        next(iter(losses.values())).item()  # the control: it can fail
    assert len(reads.seen) == 1


def test_bf16_is_close_to_float32(model, images):
    """The same masks and draws; the loss is float32 and within 2 per cent."""
    values = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            losses = copy.deepcopy(model).loss(images)  # a step may move its state
        assert all(v.dtype == torch.float32 for v in losses.values())
        values.append(sum(v for k, v in losses.items() if k.startswith('loss_')))
    assert values[1].item() == pytest.approx(values[0].item(), rel=0.02)
    assert values[1].item() != values[0].item()


def test_the_step_seed_is_all_the_randomness(model, images):
    """Two models with the same weights and seed compute the same bits."""
    model.eval()  # nothing moves
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(model.loss(images))
    one, again, other = ([*v.values()][0].item() for v in values)
    assert one == again != other


def test_every_trained_parameter_gets_a_gradient(model, images):
    """Distributed training does not search for unused parameters."""
    losses = model.loss(images)
    sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert [n for n, p in trained.items() if p.grad is None] == []
