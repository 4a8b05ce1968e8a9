"""Heads are stored with channels last, the backbone and all numbers as they were."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ccmim.engine import AutocastOptimWrapper, ChannelsLastHook


def _convert(model, wrapper):
    ChannelsLastHook().before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))


def test_convolutions_outside_the_backbone():
    model = nn.Module()
    model.backbone, model.neck = nn.Conv2d(3, 4, 2), nn.Conv2d(4, 5, 3)
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    _convert(model, SimpleNamespace(optimizer=optimizer))
    assert model.neck.weight.is_contiguous(memory_format=torch.channels_last)
    assert not model.neck.weight.is_contiguous()
    assert model.backbone.weight.is_contiguous()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    # The optimizer, which was there before, steps the same weights.
    maps = model.neck(torch.randn(2, 4, 6, 6))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    maps.sum().backward()
    optimizer.step()
    assert not torch.equal(model.neck.weight, before['neck.weight'])


def _begin(converted):
    torch.manual_seed(0)
    model = nn.Module()
    model.neck = nn.Conv2d(3, 4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    wrapper = AutocastOptimWrapper('float32', optimizer=optimizer)
    if converted:
        _convert(model, wrapper)
    return model, wrapper


def _step(model, wrapper):
    maps = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8).cos()
    wrapper.update_params(model.neck(maps).square().mean())


@pytest.mark.parametrize('added', [True, False])
def test_a_run_goes_on_as_before_when_the_layout_changes(added):
    """A fused optimizer reads the memory of weights and of their state side by side."""
    model, wrapper = _begin(not added)
    for _ in range(2):
        _step(model, wrapper)
    other, resumed = _begin(False)
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    if added:
        _convert(other, resumed)
    for one in ((model, wrapper), (other, resumed)):
        _step(*one)
    torch.testing.assert_close(other.neck.weight, model.neck.weight)
