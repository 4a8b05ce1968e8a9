"""ccMIM computes what the published code computes, to the last digits.

The recorded values come from ``tests/golden/record_published.py``, which ran the
published code on weights and images given by formulae.
"""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from ccmim.checkpoints import to_ccmim

GOLDEN = Path(__file__).parents[1] / 'golden'
RECORDED = json.loads((GOLDEN / 'ccmim_published.json').read_text())


def _recorder():
    spec = importlib.util.spec_from_file_location(
        'record_published', GOLDEN / 'record_published.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _our_name(name):
    """Our name of a parameter of the published code."""
    # A pretraining file is recognized by its decoder.
    renamed = to_ccmim({name: 0, 'decoder_embed.marker': 0})
    return next(key for key in renamed if not key.endswith('marker'))


@pytest.fixture
def parity(tiny_ccmim):
    """Our model with the recorded run's weights, and that run's losses repeated."""
    recorder = _recorder()
    model = tiny_ccmim(backbone=dict(img_size=recorder.SIZE)).double()
    names = {_our_name(name): name for name in RECORDED['gradients']}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                shift = 1.0 if parameter.ndim == 1 and 'weight' in name else 0.0
                values = recorder.wave(names[name], tuple(parameter.shape))
                parameter.copy_(values + shift)
    seen = {}
    model.sampler.register_forward_hook(lambda *a: seen.update(split=a[-1]))
    model.decoder.register_forward_hook(lambda *a: seen.update(pred=a[-1]))
    torch.manual_seed(recorder.SEED)
    torch.set_default_dtype(torch.float64)
    losses = model(recorder.pictures(), mode='loss')
    torch.set_default_dtype(torch.float32)
    return recorder, model, losses, seen, names


def test_visible_set(parity):
    *_, seen, _ = parity
    visible = seen['split'].ids_visible.sort(dim=1).values
    assert visible.tolist() == RECORDED['visible']


def test_losses(parity):
    _, _, losses, _, _ = parity
    assert losses['loss_reconstruction'].item() == pytest.approx(
        RECORDED['loss_reconstruct'], abs=1e-12
    )
    assert losses['loss_contrast'].item() == pytest.approx(
        0.1 * RECORDED['loss_align'], abs=1e-12
    )


def test_prediction(parity):
    """The masked rows of the published prediction, which also covers visible ones."""
    recorder, _, _, seen, _ = parity
    weights = recorder.wave('pred', (6, 16, 768))
    ids = seen['split'].ids_masked
    ours = (seen['pred'] * weights.gather(1, ids[..., None].expand(-1, -1, 768))).sum()
    assert ours.item() == pytest.approx(RECORDED['masked_pred_sum'], abs=1e-10)


def test_gradients(parity):
    """Every parameter's gradient, by its norm and along a fixed direction."""
    recorder, model, losses, _, names = parity
    (losses['loss_reconstruction'] + losses['loss_contrast']).backward()
    compared = 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        norm, along = RECORDED['gradients'][names[name]]
        direction = recorder.wave(names[name] + '/test', tuple(parameter.shape))
        assert parameter.grad.norm().item() == pytest.approx(norm, abs=1e-10), name
        assert (parameter.grad * direction).sum().item() == pytest.approx(
            along, abs=1e-10
        ), name
        compared += 1
    assert compared == len(RECORDED['gradients'])


def test_batch_statistics(parity):
    """The projector sees the visible tokens, then the masked ones."""
    _, model, *_ = parity
    running_mean = model.contrast.projector[1].running_mean
    assert running_mean.norm().item() == pytest.approx(
        RECORDED['running_mean'], abs=1e-12
    )
