"""SimCLR against a slow oracle."""

import pytest
import torch

from tests.methods.oracles import assert_same_gradients, slow_encode, slow_project


def _slow_loss(model, views, temperature):
    """NT-Xent over 2B views, pair by pair; views k and k + B are of one image."""
    z = slow_project(model.projector, slow_encode(model.backbone, views)[:, 0])
    z, total = z / z.norm(dim=1, keepdim=True), 0.0
    for i in range(len(z)):
        positive = (i + len(z) // 2) % len(z)
        others = [(z[i] @ z[k] / temperature).exp() for k in range(len(z)) if k != i]
        total = total - (z[i] @ z[positive] / temperature) + sum(others).log()
    return total / len(z)


@pytest.mark.parametrize('temperature', [0.1, 0.7])
def test_against_a_slow_oracle(tiny_simclr, views, temperature):
    """float64: the loss within 1e-10, gradients within 1e-10."""
    model = tiny_simclr(contrast=dict(temperature=temperature)).double()
    views, seen = views[:2].double(), []
    model.perturbation.register_forward_hook(lambda *a: seen.append(a[-1]))
    loss = model.loss(views)['loss_contrast']
    assert not torch.equal(seen[0], views[:, :, :64])
    slow = _slow_loss(model, torch.cat(seen), temperature)
    assert loss.item() == pytest.approx(slow.item(), abs=1e-10)
    assert_same_gradients(model, loss, slow)


def test_each_view_has_colors_of_its_own(tiny_simclr, images):
    pixels = dict(type='ccmim.ImgDataPreprocessor', mean=[51.0] * 3, std=[255.0] * 3)
    changes, seen = {'perturbation.jitter_prob': 1.0}, []
    model = tiny_simclr(data_preprocessor=pixels, **changes)
    model.perturbation.register_forward_hook(lambda *a: seen.append(a[-1]))
    model.loss(torch.cat([images, images], dim=2))
    first, second = seen
    assert first.shape == images.shape
    assert (first - second).abs().flatten(1).amax(1).min() > 0.01
    assert torch.stack(seen).min().item() == pytest.approx(-51 / 255)  # black
    views = model.predict(torch.cat([images, 1 - images], dim=2)).views
    torch.testing.assert_close(views['first part'], images)
    torch.testing.assert_close(views['second part'], 1 - images)
