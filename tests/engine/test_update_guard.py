"""An update with bad gradients does not happen, on any process, without a wait."""

import pytest
import torch
from torch import nn

from ccmim.engine import AutocastOptimWrapper
from ccmim.engine.nonfinite.update_guard import StatisticsGuard, UpdateGuard, total_norm


def _network(*values, **options):
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor(values)
    return parameter, torch.optim.AdamW([parameter], lr=0.1, fused=True, **options)


def test_the_norm_of_all_gradients():
    first, second = (nn.Parameter(torch.zeros(2)) for _ in range(2))
    first.grad, second.grad = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])
    assert total_norm([first, nn.Parameter(torch.zeros(1)), second]).item() == 5
    second.grad[0] = torch.nan
    assert total_norm([first, second]).isnan()


@pytest.mark.parametrize('value', [torch.nan, torch.inf, -torch.inf])
def test_a_bad_gradient_changes_nothing(value):
    """Not the moments and not the count of steps, which corrects them."""
    parameter, optimizer = _network(1.0, 2.0)
    guard = UpdateGuard()
    guard.step(optimizer, total_norm([parameter]))
    before = parameter.detach().clone()
    state = {k: v.clone() for k, v in optimizer.state[parameter].items()}
    parameter.grad[0] = value
    guard.step(optimizer, total_norm([parameter]))
    assert guard.bad == 1
    assert torch.equal(parameter, before)
    for name, expected in state.items():
        assert torch.equal(optimizer.state[parameter][name], expected), name
    parameter.grad[0] = 1
    guard.step(optimizer, total_norm([parameter]))
    assert guard.bad == 0
    assert not torch.equal(parameter, before)


def test_a_good_gradient_updates_as_without():
    guarded, plain = _network(1.0, -3.0), _network(1.0, -3.0)
    for _ in range(3):
        UpdateGuard().step(guarded[1], total_norm([guarded[0]]))
        plain[1].step()
    assert torch.equal(guarded[0], plain[0])


def test_holding():
    parameter, optimizer = _network(torch.nan, 1.0)
    guard = UpdateGuard()
    guard.hold = True
    guard.step(optimizer, total_norm([parameter]))
    parameter.grad[0] = 1
    guard.step(optimizer, total_norm([parameter]))
    assert guard.bad == 1
    assert torch.equal(parameter, torch.ones(2))


def test_a_bad_loss_with_a_good_gradient():
    parameter = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    wrapper = AutocastOptimWrapper('float32', optimizer=optimizer)
    wrapper.update_params(parameter.sum() + torch.inf)
    assert torch.equal(parameter, torch.ones(2))
    wrapper.update_params(parameter.sum())
    torch.testing.assert_close(parameter.detach(), torch.full((2,), 0.9))


def test_statistics_of_a_bad_step_are_undone():
    norm = nn.BatchNorm1d(2)
    norm.child = nn.Module()
    norm.child.register_buffer('other', torch.zeros(1))
    guard = StatisticsGuard()
    for value, bad in ((1.0, 0), (torch.nan, 1), (2.0, 0)):
        before = {k: v.clone() for k, v in norm.state_dict().items()}
        guard.note(norm)
        norm(torch.full((4, 2), value))
        norm.child.other += 1
        guard.settle(norm, torch.tensor(float(bad)))
        same = torch.equal(norm.running_mean, before['running_mean'])
        assert same == bool(bad)
    assert norm.num_batches_tracked == 2
    assert norm.child.other == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_the_host_does_not_wait():
    network = nn.Linear(4, 1).cuda()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
    wrapper = AutocastOptimWrapper('float32', optimizer=optimizer)
    inputs = torch.ones(2, 4, device='cuda')
    wrapper.update_params(network(inputs).mean())  # makes the moments
    torch.cuda.set_sync_debug_mode('error')
    try:
        wrapper.update_params(network(inputs).mean() * torch.inf)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert wrapper.guard.bad.item() == 1
