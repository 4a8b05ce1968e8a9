"""One optimizer wrapper computes in the precision it is told, on any device."""

import pytest
import torch
from torch import nn

from ccmim import precision
from ccmim.engine import AutocastOptimWrapper
from ccmim.engine.optim import autocast


def _wrapper(dtype, **options):
    torch.manual_seed(0)
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, AutocastOptimWrapper(dtype, optimizer=optimizer, **options)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_precision_of_forward_and_weights(dtype):
    model, wrapper = _wrapper(dtype)
    before = model.weight.detach().clone()
    inputs = torch.full((2, 4), 0.5)
    with wrapper.optim_context(model):
        out = model(inputs)
    assert out.dtype == getattr(torch, dtype)
    wrapper.update_params(out.float().mean())
    # d(mean) / d(weight) = 0.5, so SGD moves by 0.05 whatever the loss scale.
    torch.testing.assert_close(model.weight, before - 0.05, atol=1e-3, rtol=0)
    assert model.weight.dtype == torch.float32


def test_only_fp16_scales():
    for dtype, enabled in (('float32', False), ('bfloat16', False), ('float16', True)):
        assert _wrapper(dtype)[1].scaler.is_enabled() == enabled


def test_clipping_sees_unscaled_gradients():
    for dtype in ('float32', 'float16'):
        model, wrapper = _wrapper(dtype, clip_grad=dict(max_norm=0.5))
        before = model.weight.detach().clone()
        with wrapper.optim_context(model):
            loss = model(torch.ones(2, 4) / 2).float().mean()
        wrapper.update_params(loss)
        assert (model.weight - before).norm().item() == pytest.approx(0.05, abs=1e-4)


def test_fp16_skips_a_step_that_overflowed():
    model, wrapper = _wrapper('float16')
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        loss = (model(torch.ones(2, 4)) * torch.inf).float().sum()
    wrapper.update_params(loss)
    assert torch.equal(model.weight, before)


def test_accumulation_averages():
    model, wrapper = _wrapper('float32', accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 2)
    before = model.weight.detach().clone()
    for scale in (1.0, 3.0):
        with wrapper.optim_context(model):
            loss = model(torch.full((1, 4), scale)).sum()
        wrapper.update_params(loss)
    torch.testing.assert_close(model.weight, before - 0.1 * 2)


def test_state_round_trip():
    _, wrapper = _wrapper('float16')
    wrapper.scaler._init_scale = 8.0
    state = wrapper.state_dict()
    _, other = _wrapper('float16')
    other.load_state_dict(state)
    assert other.state_dict()['loss_scaler'] == state['loss_scaler']
    _, plain = _wrapper('float32')
    plain.load_state_dict(state)


@pytest.mark.parametrize('native', [True, False])
def test_auto_is_bf16_where_the_device_has_it(native, monkeypatch):
    monkeypatch.setattr(autocast, 'computes_in_bf16', lambda device: native)
    expected = torch.bfloat16 if native else torch.float32
    assert _wrapper('auto')[1].dtype == expected


@pytest.mark.parametrize(
    ('flags', 'chosen'),
    [
        ('flags : fpu avx512f avx512_bf16 fma', True),
        ('flags : fpu amx_bf16 amx_tile', True),
        ('Features : fp asimd bf16', True),
        ('flags : fpu avx512f avx512bw avx512vl', False),  # emulates it
        (None, False),
    ],
)
def test_a_cpu_computes_in_bf16_where_its_flags_say_so(
    flags, chosen, monkeypatch, tmp_path
):
    monkeypatch.setattr(precision, 'CPU_FLAGS', tmp_path / 'cpuinfo')
    if flags:
        (tmp_path / 'cpuinfo').write_text(flags)
    monkeypatch.delenv('ONEDNN_MAX_CPU_ISA', raising=False)
    assert precision.computes_in_bf16('cpu') == chosen
    monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', 'AVX2')  # oneDNN would not use them
    assert not precision.computes_in_bf16('cpu')
    monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', 'AVX512_CORE_AMX')
    assert precision.computes_in_bf16('cpu') == chosen


@pytest.mark.parametrize('native', [True, False])
def test_auto_is_decided_once_in_a_run(native, monkeypatch, capsys):
    """By the main process for all, and kept by those that resume it elsewhere."""
    monkeypatch.setattr(autocast, 'computes_in_bf16', lambda device: native)
    state = _wrapper('auto')[1].state_dict()
    monkeypatch.setattr(autocast, 'computes_in_bf16', lambda device: not native)
    other = _wrapper('auto')[1]
    assert other.state_dict()['dtype'] != state['dtype']
    other.load_state_dict(state)
    assert other.state_dict()['dtype'] == state['dtype']
    assert f'continuing in {state["dtype"]}' in capsys.readouterr().out
    chosen = _wrapper('float16')[1]
    chosen.load_state_dict(state)
    assert chosen.dtype == torch.float16
    assert f'was in {state["dtype"]} and continues in' in capsys.readouterr().out
    told = lambda x: x.__setitem__(0, state['dtype'])  # noqa: E731
    monkeypatch.setattr(autocast, 'broadcast_object_list', told)
    assert _wrapper('auto')[1].state_dict()['dtype'] == state['dtype']
