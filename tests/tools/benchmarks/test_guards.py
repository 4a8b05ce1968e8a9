"""What makes a step fast, counted on the real networks and without a clock."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.flops import FLOPS, saved_bytes
from benchmarks.options import NUM_SIZES, OPTIONS, before_step
from benchmarks.ours import OurMethod, total_loss

CPU = torch.device('cpu')
PUBLISHED_MB = 141.7  # an image: the published ccMIM code, ViT-S, fp32


@pytest.mark.slow
@pytest.mark.parametrize('option', ['', *OPTIONS])
def test_operations_of_vit_b(option):
    """A step does what the algorithm needs, within 1 %: 113.3 GF an image in full."""
    name = f'ccmim {option}'.strip()
    device = torch.device('cpu' if option == 'cached' else 'meta')
    method = OurMethod(name, 'b', None, device)
    steps = NUM_SIZES if option == 'progressive' else 1
    images = torch.zeros(2, 3, 224, 224, device=device)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        for step in range(steps):
            before_step(method.model, step, batch_size=2)
            total_loss(method.model(method.normalize(images), mode='loss')).backward()
    per_image = counter.get_total_flops() / 2 / steps
    assert per_image == pytest.approx(FLOPS[name, 'b'], rel=0.01)


@pytest.fixture(scope='module')
def vit_s():
    return OurMethod('ccmim', 's', None, CPU)


def test_memory_is_at_most_half_of_the_published_codes(vit_s):
    images = vit_s.normalize(torch.randint(0, 256, (2, 3, 224, 224)).byte())
    count = saved_bytes(
        lambda: total_loss(vit_s.model(images, mode='loss')), vit_s.model.parameters()
    )
    assert 40 < count / 2 / 1e6 <= PUBLISHED_MB / 2


def test_two_parameter_groups(vit_s):
    groups = vit_s.wrapper('fp32').optimizer.param_groups
    assert len(groups) == 2
    trained = sum(p.requires_grad for p in vit_s.model.parameters())
    assert sum(len(group['params']) for group in groups) == trained


def test_weights_are_updated_by_the_fused_kernel(vit_s):
    assert vit_s.wrapper('bf16').optimizer.defaults['fused'] is True
