"""Scores from another network: frozen weights of any patch side, or a slow copy."""

import copy

import torch
import torch.nn.functional as F

from ccmim.masking import ClassAttentionScorer, FeatureNormScorer
from ccmim.teachers import FrozenScorer, MomentumScorer
from ccmim.vit import VisionTransformer

ARCH = dict(embed_dim=32, depth=2, num_heads=2)


def _weights(folder, patch_size=16, side=64):
    torch.manual_seed(3)
    vit = VisionTransformer(ARCH, side, patch_size=patch_size)
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    torch.save(vit.state_dict(), folder / 'vit.pth')
    return vit.eval(), str(folder / 'vit.pth')


def test_scores_are_those_of_the_weights(tiny_mae, images, tmp_path):
    vit, file = _weights(tmp_path)
    part = dict(type='ccmim.FrozenScorer', checkpoint=file, _delete_=True)
    mae = tiny_mae(scorer=part)
    expected = ClassAttentionScorer([-1])(vit, images)
    torch.testing.assert_close(mae.scorer(mae.backbone, images), expected)
    assert expected.std(dim=1).min() > 0
    assert not [name for name in mae.state_dict() if name.startswith('scorer')]


def test_scores_of_another_patch_side_are_resampled(images, tmp_path):
    vit, file = _weights(tmp_path, patch_size=14, side=70)
    student = VisionTransformer(ARCH, 64)
    scorer = FrozenScorer(file, img_size=72)  # the nearest that its patches fill
    scores = scorer(student, images)
    large = F.interpolate(images, (70, 70), mode='bicubic', antialias=True)
    maps = ClassAttentionScorer([-1])(vit, large).unflatten(1, (5, 5))[:, None]
    expected = F.interpolate(maps, (4, 4), mode='bilinear', antialias=True).flatten(1)
    torch.testing.assert_close(scores, expected)


def test_norms_are_of_the_features_before_the_final_norm(images, tmp_path):
    vit, _ = _weights(tmp_path)
    x = vit.start(vit.embed(images))
    for block in vit.blocks:
        x = block(x)
    expected = x[:, 1:].square().sum(dim=2).sqrt()
    torch.testing.assert_close(FeatureNormScorer()(vit, images), expected)


def test_the_slow_copy_follows_and_is_in_the_checkpoint(tiny_mae, images):
    part = dict(type='ccmim.MomentumScorer', momentum=0.9, _delete_=True)
    mae = tiny_mae(scorer=part)
    mae.train()
    mae.loss(images)  # takes the weights over
    first = copy.deepcopy(mae.backbone)
    with torch.no_grad():
        for parameter in mae.backbone.parameters():
            parameter.add_(0.1)
    mae.loss(images)
    slow = dict(mae.scorer.teacher.backbone.named_parameters())
    for name, before in first.named_parameters():
        if before.requires_grad:
            torch.testing.assert_close(slow[name], before + 0.01, msg=name)
    assert any(key.startswith('scorer.teacher.') for key in mae.state_dict())
    assert isinstance(mae.scorer, MomentumScorer)
    mae.eval()
    expected = ClassAttentionScorer([-1])(mae.scorer.teacher.backbone, images)
    torch.testing.assert_close(mae.scorer(mae.backbone, images), expected)
