"""The federated loss judges the classes of a batch and some drawn ones."""

import json

import pytest
import torch

pytest.importorskip('mmdet')


@pytest.fixture
def make():
    from ccmim.dense.federated_loss import FederatedLoss

    return FederatedLoss


def test_the_loss_is_the_cross_entropy_of_the_judged_classes(make):
    scores = torch.randn(6, 9, requires_grad=True)
    label = torch.tensor([0, 3, 9, 9, 3, 8])
    loss = make(num_judged=1)  # fewer than are present: none is drawn
    value = loss(scores, label)
    expected = 0.0
    for row, own in zip(scores.detach().sigmoid(), label.tolist(), strict=True):
        for k in (0, 3, 8):
            expected -= (row[k] if k == own else 1 - row[k]).log() / 6
    torch.testing.assert_close(value, expected)
    value.backward()
    judged = scores.grad.abs().sum(0) > 0
    assert judged.nonzero().flatten().tolist() == [0, 3, 8]


def test_weights_the_divisor_and_the_factor_count(make):
    scores, label = torch.randn(4, 5), torch.tensor([0, 1, 5, 5])
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0])
    plain = make(num_judged=1)
    value = make(num_judged=1, loss_weight=3.0)(scores, label, weight, avg_factor=7.0)
    parts = [plain(scores[[i, 0, 1]], label[[i, 0, 1]]) for i in (0, 2)]
    both = plain(scores[[0, 1]], label[[0, 1]]) * 2
    alone = [3 * part - both for part in parts]
    torch.testing.assert_close(value, 3 * (alone[0] + 2 * alone[1]) / 7)


def test_background_counts_towards_the_number_of_judged_classes(make):
    label = torch.tensor([2, 20, 5])
    judged = make(num_judged=8).judged(label, 20)
    assert judged[:2].tolist() == [2, 5]
    assert len(judged) == len(judged.unique()) == 7


@pytest.mark.parametrize('power', [0.5, 1.0])
def test_classes_are_drawn_by_the_power_of_their_images(make, power):
    loss = make(frequencies=[1, 4, 16, 100], num_judged=2, power=power)
    label = torch.tensor([3])
    drawn = torch.cat([loss.judged(label, 4)[1:] for _ in range(3000)])
    odds = torch.tensor([1.0, 4, 16]) ** power
    found = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(found, odds / odds.sum(), atol=0.03, rtol=0)


def test_images_of_a_class_are_read_from_the_annotation_file_when_needed(
    make, tmp_path
):
    file = tmp_path / 'lvis.json'
    loss = make(frequencies=str(file), num_judged=2, power=1.0)
    counts = {3: 1, 1: 10**9, 2: 1}
    categories = [dict(id=i, image_count=count) for i, count in counts.items()]
    file.write_text(json.dumps(dict(categories=categories)))
    assert loss.judged(torch.tensor([1]), 3).tolist() == [1, 0]


def test_no_more_classes_are_drawn_than_there_are(make):
    assert sorted(make(num_judged=50).judged(torch.tensor([1, 4]), 4)) == [0, 1, 2, 3]


def test_scores_are_sigmoids_with_a_column_for_background(make):
    scores = torch.randn(3, 4)
    activated = make().get_activation(scores)
    torch.testing.assert_close(activated[:, :4], scores.sigmoid())
    assert activated[:, 4].tolist() == [0, 0, 0]
    assert make().get_cls_channels(4) == 4


def test_accuracy_is_that_of_boxes_with_an_object(make):
    scores = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    accuracy = make().get_accuracy(scores, torch.tensor([1, 1, 2]))
    assert accuracy['acc'].item() == 50
    assert make().get_accuracy(scores, torch.tensor([2, 2, 2]))['acc'].item() == 0


def test_impossible_numbers_are_refused(make):
    with pytest.raises(ValueError, match='num_judged=0'):
        make(num_judged=0)
    with pytest.raises(ValueError, match='frequencies'):
        make(frequencies=[3, 0])
    with pytest.raises(ValueError, match='reduction_override'):
        make()(torch.zeros(1, 2), torch.tensor([0]), reduction_override='none')
