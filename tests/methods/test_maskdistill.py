"""MaskDistill against a slow oracle; the teacher stays out of everything saved."""

import pytest
import torch

from ccmim.losses import FeatureDistillation
from ccmim.masking import TokenSplit
from tests.methods.oracles import assert_same_gradients, drawn, slow_encode


def _slow_loss(model, images, mask, beta):
    """Smooth L1 of a linear map to the layer-normed features, number by number."""
    encoded = slow_encode(model.backbone, images, mask, model.mask_token.token)
    teacher = model.teacher.frozen.network
    taught = slow_encode(teacher, images)
    head, total, count = model.decoder.pred, 0.0, 0
    for b, patch in mask.nonzero().tolist():
        pred = head.weight @ encoded[b, 1 + patch] + head.bias
        target = taught[b, 1 + patch]
        centered = target - target.mean()
        target = centered / (centered.square().mean() + 1e-6).sqrt()
        for difference in (pred - target).abs():
            if difference < beta:
                total = total + 0.5 * difference**2 / beta
            else:
                total = total + difference - 0.5 * beta
            count += 1
    return total / count


@pytest.mark.parametrize('beta', [1.0, 0.25])
def test_against_a_slow_oracle(tiny_maskdistill, images, beta):
    """float64: the loss within 1e-12, gradients within 1e-10."""
    model = tiny_maskdistill(distillation=dict(beta=beta)).double()
    images, seen = images[:2].double(), drawn(model)
    loss = model.loss(images)['loss_distillation']
    slow = _slow_loss(model, images, seen['split'].mask, beta)
    assert loss.item() == pytest.approx(slow.item(), abs=1e-12)
    assert_same_gradients(model, loss, slow)


def test_a_teacher_with_another_grid_is_named():
    ids = torch.arange(4)[None]
    split = TokenSplit(ids[:, :2], ids[:, 2:], ids >= 2)
    with pytest.raises(ValueError, match='the teacher sees 9 patches and the network'):
        FeatureDistillation()(torch.zeros(1, 2, 5), torch.zeros(1, 9, 5), split)
