"""Dense retrieval is the published protocol, to the digit."""

import math

import pytest
import torch
import torch.nn.functional as F

from ccmim.evaluation.retrieval import (
    choose_patches,
    class_counts,
    count_overlaps,
    look_up,
    soft_labels,
    to_pixels,
)

# Two training images of 2 x 2 patches of 2 px, one to be segmented; 3 classes.
TRAIN = [
    [[0, 0, 1, 1], [0, 0, 1, 0], [2, 2, 255, 255], [2, 1, 255, 255]],
    [[1, 1, 1, 1], [1, 1, 0, 1], [0, -1, 2, 2], [255, 3, 2, 255]],
]
TEST = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 3], [2, 2, -1, 0]]
FEATURES = [[3, 0], [0, 2], [-1, 1], [5, 5], [1, 4], [1, 3], [2, 1], [-2, 1]]
QUERIES = [[1, 0.2], [0.1, 1], [-1, 0.6], [1, 0.9]]


def _by_hand(k, temperature):
    """The protocol in plain Python: lists, loops and the formulae of the paper."""
    memory = []
    for image, features in zip(TRAIN, (FEATURES[:4], FEATURES[4:]), strict=True):
        for patch, feature in enumerate(features):
            top, left = 2 * (patch // 2), 2 * (patch % 2)
            pixels = [image[top + i][left + j] for i in (0, 1) for j in (0, 1)]
            pixels = [p for p in pixels if 0 <= p < 3]
            if pixels:
                share = [pixels.count(c) / len(pixels) for c in range(3)]
                memory.append((feature, share))
    predicted = []
    for query in QUERIES:
        found = []
        for feature, share in memory:
            dot = sum(a * b for a, b in zip(query, feature, strict=True))
            cosine = dot / math.hypot(*query) / math.hypot(*feature)
            found.append((cosine, share))
        found = sorted(found, key=lambda pair: -pair[0])[:k]
        weights = [math.exp(cosine / temperature) for cosine, _ in found]
        pairs = list(zip(weights, (share for _, share in found), strict=True))
        sums = [sum(w * share[c] for w, share in pairs) for c in range(3)]
        predicted.append([value / sum(weights) for value in sums])
    return predicted


def _pixels_by_hand(predicted):
    """Bilinear: pixel centers lie at a quarter and three quarters of a patch."""
    near = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    patches = torch.tensor(predicted).view(2, 2, 3)
    return (
        torch.einsum('yr,xc,rck->yxk', near, near, patches).argmax(2).flatten().tolist()
    )


@pytest.mark.parametrize(('k', 'temperature'), [(3, 0.02), (7, 0.5), (1, 0.02)])
def test_a_hand_made_example_to_the_digit(k, temperature):
    shares = soft_labels(class_counts(torch.tensor(TRAIN), 2, 3)).flatten(0, 1)
    kept = shares.any(1)
    assert kept.tolist() == [True] * 3 + [False] + [True] * 4
    memory = F.normalize(torch.tensor(FEATURES).float()[kept])
    found = look_up(memory, shares[kept], torch.tensor(QUERIES), k, temperature)
    expected = _by_hand(k, temperature)
    assert found.tolist() == [pytest.approx(row, abs=2e-6) for row in expected]
    pixels = to_pixels(found[None], (2, 2), (4, 4), 2)
    by_hand = _pixels_by_hand(expected)
    assert pixels.flatten().tolist() == by_hand

    truth = [value for row in TEST for value in row]
    pairs = [(t, p) for t, p in zip(truth, by_hand, strict=True) if 0 <= t < 3]
    right, united = count_overlaps(pixels, torch.tensor([TEST]), 3)
    assert right.tolist() == [[sum(t == p == c for t, p in pairs) for c in range(3)]]
    assert united.tolist() == [[sum(c in pair for pair in pairs) for c in range(3)]]


def test_rare_classes_come_first_into_a_bounded_memory():
    """Four patches hold class 0, two class 1, one class 2; the last has no label."""
    first = [[1.0, 0, 0]] * 3
    shares = torch.tensor([[*first, [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]])
    even = torch.full((1, 7), 0.5)  # scores 4 4 4 6 2 1
    kept = [choose_patches(shares, n, even)[0].nonzero().flatten() for n in (1, 2)]
    assert [ids.tolist() for ids in kept] == [[5], [4, 5]]
    noise = torch.tensor([[0.01, 0.9, 0.9, 0.9, 0.9, 0.9, 0.0]])
    assert choose_patches(shares, 2, noise)[0].nonzero().flatten().tolist() == [0, 5]
    assert choose_patches(shares, 9, noise)[0].tolist() == [True] * 6 + [False]


def test_sides_that_are_no_multiple_of_the_patch():
    counts = class_counts(torch.ones(1, 4, 7).long(), 3, 2)
    assert counts[0].tolist() == [[0, 9], [0, 9], [0, 3], [0, 3], [0, 3], [0, 1]]
    pixels = to_pixels(soft_labels(counts), (2, 3), (4, 7), 3)
    assert count_overlaps(pixels, pixels, 4)[0].tolist() == [[0, 28, 0, 0]]
