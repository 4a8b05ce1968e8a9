"""Compiled blocks compute the same, in one graph each, for every epoch."""

import copy

import pytest
import torch
from torch._dynamo.utils import counters

from ccmim.engine.compile import compile_blocks


def _step(model, images):
    torch.manual_seed(0)
    losses = model.loss(images)
    loss = sum(value for key, value in losses.items() if 'loss' in key)
    model.zero_grad()
    loss.backward()
    return loss.item(), model.backbone.blocks[0].attn.qkv.weight.grad.clone()


@pytest.mark.parametrize('grad', ['visible', 'both'])
@pytest.mark.slow
def test_same_numbers_no_breaks_and_no_recompilation(tiny_ccmim, images, grad):
    torch._dynamo.reset()
    counters.clear()
    model = tiny_ccmim(contrast=dict(grad=grad))
    plain_loss, plain_grad = _step(model, images)
    assert compile_blocks(model, backend='aot_eager')
    loss, gradient = _step(model, images)
    assert loss == pytest.approx(plain_loss, abs=1e-6)
    torch.testing.assert_close(gradient, plain_grad, atol=1e-6, rtol=1e-4)

    graphs = counters['stats']['unique_graphs']
    assert 4 <= graphs <= 8
    for _ in range(3):
        _step(model, images)
    assert counters['stats']['unique_graphs'] == graphs
    assert not counters['graph_break']


def test_weights_keep_their_names_and_places(tiny_ccmim):
    model = tiny_ccmim()
    before = {name: p.data_ptr() for name, p in model.named_parameters()}
    compile_blocks(model, backend='aot_eager')
    assert {name: p.data_ptr() for name, p in model.named_parameters()} == before


def test_a_deep_copy_computes_with_its_own_weights(tiny_vit, images):
    torch._dynamo.reset()
    model = tiny_vit(window_size=2, global_blocks=[0])
    plain = copy.deepcopy(model)
    assert compile_blocks(model, backend='eager')
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for network in (copied, plain):
            for parameter in network.parameters():
                parameter.mul_(1.5)
    tokens = copied.embed(images)
    scores = lambda vit: vit.class_attention(tokens, [0, 1])  # noqa: E731
    for compute in (lambda vit: vit(images)[0], scores):
        torch.testing.assert_close(compute(copied), compute(plain))
        assert not torch.allclose(compute(copied), compute(model))


def test_without_a_working_compiler_one_warning_and_the_plain_path(tiny_ccmim, images):
    model = tiny_ccmim()
    expected = _step(model, images)[0]
    text = 'compile_blocks: .*continuing without'
    with pytest.warns(UserWarning, match=text) as seen:
        assert not compile_blocks(model, backend='no_such_backend')
    assert len(seen) == 1
    assert _step(model, images)[0] == expected
