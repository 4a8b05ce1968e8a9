"""Every method computes the same losses on every device, and nearly so in bf16."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from benchmarks.precision import autocast, matmul_precision
from tests import tiny_methods

CUDA = torch.cuda.is_available()


class SameDraws(TorchFunctionMode):
    """Draws random numbers on the CPU, wherever they are wanted: one seed, one mask."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.rand_like:
            func, kwargs, args = torch.rand, dict(device=args[0].device), args[0].shape
        if func in (torch.rand, torch.randperm, torch.randint, torch.randn):
            return func(*args, **{**kwargs, 'device': 'cpu'}).to(kwargs.get('device'))
        return func(*args, **kwargs)


def losses(name, device, precision='fp32'):
    """Compute the losses of a tiny method, from the same weights and draws."""
    torch.manual_seed(0)
    model = tiny_methods.build(name)
    images = tiny_methods.batch(model).to(device)
    model = model.to(device)
    torch.manual_seed(1)
    with SameDraws(), matmul_precision(precision), autocast(precision, device):
        found = model(images, mode='loss')
    return {key: float(value.detach()) for key, value in found.items() if 'loss' in key}


@pytest.mark.gpu
@pytest.mark.skipif(not CUDA, reason='needs a GPU')
@pytest.mark.parametrize('name', tiny_methods.names())
def test_losses_on_a_gpu(name):
    plain = losses(name, 'cpu')
    assert losses(name, 'cuda') == pytest.approx(plain, rel=1e-5)
    assert losses(name, 'cuda', 'bf16') == pytest.approx(plain, rel=1e-2)


@pytest.mark.parametrize('name', tiny_methods.with_extras())
def test_losses_in_bf16_on_a_cpu(name):
    plain = losses(name, 'cpu')
    assert losses(name, 'cpu', 'bf16') == pytest.approx(plain, rel=1e-2)
