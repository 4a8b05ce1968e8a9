"""The losses of enlarged logits are those of mmseg, and so are the gradients."""

import pytest
import torch
from mmengine.structures import PixelData

from ccmim.dense import pixel_loss

pytest.importorskip('mmseg')


def _losses(kind, head, logits, samples):
    losses = kind.loss_by_feat(head, logits, samples)
    return losses, torch.autograd.grad(losses['loss_ce'], logits)[0]


@pytest.mark.parametrize(
    ('size', 'options', 'loss'),
    [
        ((21, 17), {}, {}),
        ((21, 17), dict(align_corners=True, ignore_index=4), dict(loss_weight=0.4)),
        ((5, 4), dict(num_classes=2), dict(avg_non_ignore=True)),
        ((3, 2), {}, {}),  # smaller than the logits
        ((21, 17), {}, dict(class_weight=[0.1, 1, 2, 3, 4])),  # by mmseg itself
    ],
)
def test_a_head_has_the_loss_and_accuracy_of_mmseg(size, options, loss, monkeypatch):
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead
    from mmseg.structures import SegDataSample

    from ccmim.dense.segmentor_heads import FCNHead

    monkeypatch.setattr(pixel_loss, '_CHUNK', 300)  # a few rows of the first
    torch.manual_seed(0)
    options = dict(num_classes=5) | options
    head = FCNHead(
        in_channels=4, channels=4, loss_decode=dict(type='CrossEntropyLoss', **loss),
        **options,
    )  # fmt: skip
    logits = torch.randn(2, head.num_classes, 5, 4, dtype=torch.float64)
    logits = (2 * logits).requires_grad_()
    labels = torch.randint(0, head.num_classes, (2, 1, *size))
    labels[torch.rand(labels.shape) < 0.2] = head.ignore_index
    samples = [SegDataSample(gt_sem_seg=PixelData(data=each)) for each in labels]
    (found, gradient), (expected, wanted) = (
        _losses(kind, head, logits, samples) for kind in (FCNHead, BaseDecodeHead)
    )
    assert 0 < expected['acc_seg'] < 100
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name].double().squeeze(), value.double().squeeze()
        )
    assert wanted.abs().max() > 1e-3
    torch.testing.assert_close(gradient, wanted)


def test_maps_are_those_of_mmseg_and_the_loss_is_wide_under_autocast():
    from ccmim.dense.segmentor_heads import MMSegUPerHead, UPerHead

    torch.manual_seed(0)
    sizes = dict(in_channels=[4] * 4, in_index=[0, 1, 2, 3], channels=6, num_classes=3)
    head = UPerHead(**sizes, pool_scales=(1, 2)).double()
    maps = [torch.randn(2, 4, 12 >> i, 16 >> i).double() for i in range(4)]
    maps = [each.requires_grad_() for each in maps]
    passes = []
    for kind in (UPerHead, MMSegUPerHead):
        found = kind._forward_feature(head, maps)
        passes.append((found, *torch.autograd.grad(found.square().sum(), maps)))
    for found, expected in zip(*passes, strict=True):
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(found, expected)
    labels = torch.randint(0, 3, (2, 48, 64))
    logits = torch.randn(2, 3, 12, 16).bfloat16().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        loss, _ = pixel_loss.enlarged_cross_entropy(logits, labels)
    exact, _ = pixel_loss.enlarged_cross_entropy(logits.double(), labels)
    torch.testing.assert_close(loss.double(), exact, rtol=1e-6, atol=0)
    assert torch.autograd.grad(loss / labels.numel(), logits)[0].any()
