"""The classifier computes what it says, and trains what it should."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import build_optim_wrapper

from ccmim.classification import LARS, ClassHead
from ccmim.engine.optim.layer_decay import LayerDecayOptimWrapperConstructor

LABELS = torch.tensor([0, 2, 1, 1])


def test_the_average_is_of_the_patches_and_the_class_token_is_the_first(
    tiny_classifier, images
):
    average, token = tiny_classifier(), tiny_classifier(pool='class')
    token.load_state_dict(average.state_dict())
    tokens = average.backbone.encode(average.backbone.embed(images))  # (4, 17, 32)
    expected = torch.stack([tokens[:, i] for i in range(1, 17)]).sum(0) / 16
    torch.testing.assert_close(average.features(images), expected)
    torch.testing.assert_close(token.features(images), tokens[:, 0])
    with pytest.raises(ValueError, match='pool'):
        tiny_classifier(pool='max')


def test_the_loss_is_the_cross_entropy_with_the_mixed_labels(tiny_classifier, images):
    model = tiny_classifier(mixing=dict(type='ccmim.BatchMixing', label_smoothing=0.2))
    scores = model(images)
    expected = F.cross_entropy(scores, LABELS, label_smoothing=0.2)
    losses = model(images, labels=LABELS, mode='loss')
    assert losses.keys() == {'loss_classification'}
    torch.testing.assert_close(losses['loss_classification'], expected)


def test_predictions_are_probabilities_with_their_labels(tiny_classifier, images):
    model = tiny_classifier().eval()
    with torch.no_grad():
        found = model(images, torch.tensor([9, 8, 7, 6]), LABELS, mode='predict')
        expected = model(images).softmax(1)
    assert [sample['image'] for sample in found] == [9, 8, 7, 6]
    assert [sample['label'] for sample in found] == LABELS.tolist()
    shown = torch.stack([sample['scores'] for sample in found])
    torch.testing.assert_close(shown, expected)


def test_a_frozen_backbone_gets_no_gradient_and_stays_in_evaluation(
    tiny_classifier, images
):
    head = dict(type='ccmim.ClassHead', in_dim=32, num_classes=3, norm='batch')
    options = dict(frozen=True, pool='class', backbone=dict(drop_path_rate=0.9))
    model = tiny_classifier(head=head, **options).train()
    assert not any(part.training for part in model.backbone.modules())
    assert model.head.training
    images.requires_grad_()
    first, second = model.features(images), model.features(images)
    assert torch.equal(first, second)  # no stochastic depth
    assert not first.requires_grad
    model.loss(images, LABELS)['loss_classification'].backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None}
    assert reached == {'head.fc.weight', 'head.fc.bias'}


def test_fine_tuning_reaches_every_parameter(tiny_classifier, images):
    """With the last layer at its first, tiny, weights too."""
    model = tiny_classifier()
    model.loss(images, LABELS)['loss_classification'].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_freezing_leaves_fixed_positions_fixed(tiny_classifier):
    model = tiny_classifier(backbone=dict(pos_embed='sincos'))
    assert not model.backbone.pos_embed.requires_grad
    assert model.backbone.patch_embed.proj.weight.requires_grad


def test_the_batch_norm_of_a_probe_brings_features_to_unit_scale():
    head = ClassHead(8, 3, norm='batch', init_std=0.01)
    features = 5 + 100 * torch.randn(64, 8)
    normed = head.norm(features)
    torch.testing.assert_close(normed.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(0, correction=0), torch.ones(8))
    assert [name for name, _ in head.named_parameters()] == ['fc.weight', 'fc.bias']
    assert head.norm.eps == 1e-6


def test_the_head_begins_where_it_is_told(tiny_classifier):
    head = ClassHead(512, 100, norm='layer', init_std=2e-5)
    assert 1.9e-5 < head.fc.weight.std() < 2.1e-5
    assert not head.fc.bias.any()
    assert head.norm.eps == 1e-6
    for options in (dict(norm='group'), dict(num_classes=0), dict(init_std=0.0)):
        with pytest.raises(ValueError, match=next(iter(options))):
            ClassHead(**{**dict(in_dim=8, num_classes=3), **options})


def test_scores_are_float32_under_autocast(tiny_classifier, images):
    with torch.autocast('cpu', torch.bfloat16):
        assert tiny_classifier()(images).dtype == torch.float32


def test_layer_decay_leaves_the_head_at_the_full_rate(tiny_classifier):
    cfg = dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05))
    model = tiny_classifier()
    wrapper = LayerDecayOptimWrapperConstructor(cfg, dict(layer_decay=0.5))(model)
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        names[id(p)]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
    assert found['head.fc.weight'] == (1.0, 0.05)
    assert found['head.fc.bias'] == found['head.norm.weight'] == (1.0, 0.0)
    assert found['backbone.blocks.1.attn.qkv.weight'] == (0.5, 0.05)
    assert found['backbone.blocks.0.norm1.weight'] == (0.25, 0.0)
    assert found['backbone.patch_embed.proj.weight'] == (0.125, 0.05)
    assert found['backbone.cls_token'] == found['backbone.pos_embed'] == (0.125, 0.0)
    assert len(found) == len(names)


def _published_lars(weights, gradients, lr, decay, momentum=0.9, trust=0.001):
    """One parameter's path: LARS (https://arxiv.org/abs/1708.03888), MoCo v3's rule."""
    velocity = torch.zeros_like(weights)
    for gradient in gradients:
        if weights.ndim > 1 and weights.norm() > 0 and gradient.norm() > 0:
            scale = trust * weights.norm() / (gradient.norm() + decay * weights.norm())
            gradient = (gradient + decay * weights) * scale
        velocity = momentum * velocity + gradient
        weights = weights - lr * velocity
    return weights


@pytest.mark.parametrize('decay', [0.0, 0.3])
def test_lars_is_that_of_moco_v3(tiny_classifier, decay):
    """Weights are adapted without weight decay too; biases neither that nor decayed."""
    head = tiny_classifier().double().head
    with torch.no_grad():
        for param in head.parameters():  # biases begin as 0, where no decay shows
            param.add_(torch.randn_like(param))
    options = dict(type='ccmim.LARS', lr=6.4, momentum=0.9, weight_decay=decay)
    wrapper = build_optim_wrapper(head, dict(optimizer=options))
    assert isinstance(wrapper.optimizer, LARS)
    generator = torch.Generator().manual_seed(0)
    for name, param in head.named_parameters():
        shape = dict(generator=generator, dtype=torch.float64)
        gradients = [torch.randn(param.shape, **shape) for _ in range(4)]
        expected = _published_lars(param.detach().clone(), gradients, 6.4, decay)
        for gradient in gradients:
            wrapper.optimizer.zero_grad()
            param.grad = gradient.clone()
            wrapper.optimizer.step()
        torch.testing.assert_close(param, expected, rtol=1e-7, atol=1e-12, msg=name)
