"""MaskDistill against a slow oracle; the teacher stays out of everything saved."""

import pytest
import torch

from ccmim.losses import FeatureDistillation
from ccmim.masking import TokenSplit


def _slow_loss(model, slow_encode, images, mask, beta):
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
def test_against_a_slow_oracle(tiny_maskdistill, slow_encode, images, beta):
    """float64: the loss within 1e-12, gradients within 1e-10."""
    model = tiny_maskdistill(distillation=dict(beta=beta)).double()
    images, seen = images[:2].double(), {}
    model.sampler.register_forward_hook(lambda *a: seen.update(split=a[-1]))
    loss = model.loss(images)['loss_distillation']
    slow = _slow_loss(model, slow_encode, images, seen['split'].mask, beta)
    assert loss.item() == pytest.approx(slow.item(), abs=1e-12)
    parameters = [p for p in model.parameters() if p.requires_grad]
    ours = torch.autograd.grad(loss, parameters)
    theirs = torch.autograd.grad(slow, parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def test_the_teacher_sees_the_full_image_the_student_does_not(tiny_maskdistill, images):
    model, seen = tiny_maskdistill(), {}
    model.sampler.register_forward_hook(lambda *a: seen.update(split=a[-1]))
    model.decoder.register_forward_hook(lambda *a: seen.update(pred=a[-1]))
    torch.manual_seed(3)
    before, pred = model.loss(images)['loss_distillation'], seen['pred']
    mask = seen['split'].mask.reshape(4, 1, 4, 4)
    hidden = mask.repeat_interleave(16, 2).repeat_interleave(16, 3)
    changed = images + hidden * torch.randn_like(images)
    torch.manual_seed(3)
    after = model.loss(changed)['loss_distillation']
    assert torch.equal(seen['pred'], pred)
    assert after != before


def test_the_teacher_is_not_saved(tiny_maskdistill):
    model = tiny_maskdistill()
    assert [n for n in model.state_dict() if 'teacher' in n] == []
    assert [n for n, _ in model.named_parameters() if 'teacher' in n] == []


def test_every_trained_parameter_gets_a_gradient(tiny_maskdistill, images):
    model = tiny_maskdistill()
    model.loss(images)['loss_distillation'].backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert [n for n, p in trained.items() if p.grad is None] == []


def test_backbone_loads_downstream(tiny_maskdistill, tiny_vit, tmp_path):
    model = tiny_maskdistill()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'x.pth')
    checkpoint = str(tmp_path / 'x.pth')
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=checkpoint))
    vit.init_weights()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(vit.state_dict()[name], value)


def test_training_needs_a_teacher_with_weights(tiny_maskdistill):
    with pytest.raises(ValueError, match='teacher.checkpoint is not set'):
        tiny_maskdistill().init_weights()


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(mask_ratio=0.99), 'mask_ratio=0.99 leaves 0 of 16'),
        (dict(sampler=dict(img_size=128)), 'BlockSampler gives 64 patches'),
    ],
)
def test_impossible_settings_are_named(tiny_maskdistill, wrong, message):
    with pytest.raises(ValueError, match=message):
        tiny_maskdistill(**wrong)


def test_a_teacher_with_another_grid_is_named():
    ids = torch.arange(4)[None]
    split = TokenSplit(ids[:, :2], ids[:, 2:], ids >= 2)
    with pytest.raises(
        ValueError, match='the teacher sees 9 patches and the network 4'
    ):
        FeatureDistillation()(torch.zeros(1, 2, 5), torch.zeros(1, 9, 5), split)
