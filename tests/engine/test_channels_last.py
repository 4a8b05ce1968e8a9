"""Heads are stored with channels last, the backbone and all numbers as they were."""

from types import SimpleNamespace

import torch
from torch import nn

from ccmim.engine import ChannelsLastHook


def test_convolutions_outside_the_backbone():
    model = nn.Module()
    model.backbone, model.neck = nn.Conv2d(3, 4, 2), nn.Conv2d(4, 5, 3)
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    ChannelsLastHook().before_train(SimpleNamespace(model=model))
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
