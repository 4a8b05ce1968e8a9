"""The linear probe of maps is a batch norm and a matrix, nothing else."""

import pytest
import torch

pytest.importorskip('mmseg')


@pytest.fixture
def head():
    from ccmim.dense.linear_seg_head import LinearSegHead

    return LinearSegHead(6, num_classes=3, norm_cfg=dict(type='BN'))


def test_logits_are_linear_in_the_standardised_map(head):
    first, last = torch.randn(2, 6, 4, 5), 7 + 3 * torch.randn(2, 6, 4, 5)
    logits = head.train()([first, last])
    mean = last.mean(dim=(0, 2, 3), keepdim=True)
    deviation = (last.var(dim=(0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    weight, bias = head.conv_seg.weight[:, :, 0, 0], head.conv_seg.bias
    expected = torch.einsum('oc,bchw->bohw', weight, (last - mean) / deviation)
    torch.testing.assert_close(logits, expected + bias[:, None, None])


def test_no_channel_is_dropped_unless_asked_for(head):
    assert head.dropout is None


def test_a_few_steps_separate_two_kinds_of_patches(head):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    torch.manual_seed(0)
    classes = torch.randint(0, 3, (2, 4, 4))
    centers = 5 * torch.randn(3, 6)
    maps = [(centers[classes] + torch.randn(2, 4, 4, 6)).permute(0, 3, 1, 2)]
    samples = [SegDataSample(gt_sem_seg=PixelData(data=c[None])) for c in classes]
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        loss = head.loss(maps, samples, train_cfg=None)['loss_ce']
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert (head(maps).argmax(1) == classes).float().mean() > 0.95
