"""Patches are named by their neighbors, and scored by overlap."""

from collections import Counter

import pytest
import torch

from ccmim.evaluation.patch_knn import extract_patches, patch_classes, patch_knn_iou


def test_a_patch_has_the_commonest_class_of_its_pixels():
    maps = torch.randint(0, 6, (2, 7, 9))
    maps[maps == 5] = 255
    found = patch_classes(maps, 4, 5)
    assert found.shape == (2, 2 * 3)
    for image, classes in zip(maps, found, strict=True):
        for i, name in enumerate(classes.tolist()):
            row, column = 4 * (i // 3), 4 * (i % 3)
            pixels = image[row : row + 4, column : column + 4].flatten().tolist()
            counts = Counter(pixel for pixel in pixels if pixel != 255)
            most = max(counts.values())
            assert name == min(c for c, count in counts.items() if count == most)


def test_a_patch_of_ignored_pixels_has_no_class():
    maps = torch.full((1, 4, 4), 255)
    maps[0, 0, 3] = 2
    assert patch_classes(maps, 2, 3).tolist() == [[-1, 2, -1, -1]]


def test_features_are_the_normed_tokens_of_patches_with_a_class(tiny_vit, images):
    vit = tiny_vit().train()
    maps = torch.zeros(4, 64, 64).long()
    maps[:, 16:32, :16] = 255  # the fifth patch
    maps[:, :16, 48:] = 1  # the fourth
    features, classes = extract_patches(vit, [(images, maps)], 2)
    assert vit.training
    vit.eval()
    tokens = vit.encode(vit.embed(images))[:, 1:]
    kept = [i for i in range(16) if i != 4]
    torch.testing.assert_close(features, tokens[:, kept].flatten(0, 1))
    assert classes.view(4, 15).tolist() == [[0, 0, 0, 1] + [0] * 11] * 4


@pytest.mark.parametrize('k', [1, 3])
def test_iou_is_that_of_neighbors_found_one_by_one(k):
    train, test = torch.randn(30, 4), torch.randn(20, 4) * 5
    train_classes, test_classes = torch.randint(0, 3, (30,)), torch.randint(0, 3, (20,))
    predicted = []
    for feature in test:
        cosine = torch.cosine_similarity(feature[None], train)
        votes = [0.0, 0.0, 0.0]
        for i in cosine.argsort(descending=True)[:k].tolist():
            votes[train_classes[i]] += (cosine[i] / 0.07).exp().item()
        predicted.append(votes.index(max(votes)))
    iou = patch_knn_iou(train, train_classes, test, test_classes, 4, k)
    for name in range(3):
        own = {i for i, c in enumerate(test_classes.tolist()) if c == name}
        given = {i for i, c in enumerate(predicted) if c == name}
        expected = 100 * len(own & given) / len(own | given)
        assert iou[name].item() == pytest.approx(expected)
    assert iou[3].isnan()


def test_patches_among_their_own_kind_are_all_right():
    centers = 10 * torch.eye(5)
    classes = torch.arange(5).repeat(8)
    train, test = (centers[classes] + 0.1 * torch.randn(40, 5) for _ in range(2))
    assert patch_knn_iou(train, classes, test, classes, 5, k=3).tolist() == [100.0] * 5
