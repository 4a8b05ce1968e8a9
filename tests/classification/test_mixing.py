"""Images and labels are mixed in the same proportions, by the step's random numbers."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from timm.loss import LabelSmoothingCrossEntropy

from ccmim.classification import BatchMixing, RandAugment
from ccmim.data import SampleKey, seeded
from ccmim.engine.resume.step_seed import seed_step

CLASSES = 5
LABELS = torch.tensor([0, 1, 3, 4])


def _flat(values):
    """Images of shape (4, 3, 8, 8) that hold one value each."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 8, 8).clone()


def test_nothing_is_mixed_by_default(images):
    kept, shares = BatchMixing(CLASSES)(images, LABELS)
    assert kept is images
    assert torch.equal(shares, F.one_hot(LABELS, CLASSES).float())


def test_smoothing_equals_timms():
    shares = BatchMixing(CLASSES, label_smoothing=0.1)(_flat([0.0] * 4), LABELS)[1]
    scores = torch.randn(4, CLASSES)
    expected = LabelSmoothingCrossEntropy(0.1)(scores, LABELS)
    torch.testing.assert_close(F.cross_entropy(scores, shares), expected)


@pytest.mark.parametrize('options', [dict(mixup=0.8), dict(cutmix=1.0)])
def test_the_labels_are_the_shares_of_the_pixels(options):
    """Image i and image -i are mixed; flat images show how much of each there is."""
    mixing = BatchMixing(CLASSES, **options)
    values = [0.0, 10.0, 200.0, 1000.0]
    seen = set()
    for step in range(10):
        seed_step(0, step, 0)
        batch = _flat(values)
        mixed, shares = mixing(batch, LABELS)
        assert torch.equal(batch, _flat(values))  # that of the caller stays
        found = mixed.mean((1, 2, 3))
        first = (found[0] / 1000).item()  # the fraction of the last image in the first
        expected = torch.zeros(4, CLASSES)
        for i in range(4):
            expected[i, LABELS[i]] += 1 - first
            expected[i, LABELS[3 - i]] += first
        torch.testing.assert_close(shares, expected)
        seen.add(round(first, 4))
        pure = mixed[0].unique().tolist()
        assert ('cutmix' in options) == (set(pure) <= {0.0, 1000.0}) or first == 0
    assert len(seen) > 5


def test_with_both_a_batch_has_one_of_them():
    mixing = BatchMixing(CLASSES, mixup=0.8, cutmix=1.0)
    kinds = []
    for step in range(40):
        seed_step(1, step, 0)
        mixed, _ = mixing(_flat([0.0, 0.0, 0.0, 1.0]), LABELS)
        kinds.append(set(mixed[0].unique().tolist()) <= {0.0, 1.0})
    assert 10 < sum(kinds) < 30


def test_the_random_numbers_are_those_of_the_step(images):
    mixing = BatchMixing(CLASSES, mixup=0.8, cutmix=1.0, erase_prob=0.5)
    results = []
    for step in (3, 3, 4):
        seed_step(7, step, 0)
        results.append(mixing(images, LABELS))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][0], results[2][0])


def test_erasing_puts_noise_into_its_share_of_the_images():
    before = torch.full((200, 3, 16, 16), 9.0)
    random.seed(0)
    after, _ = BatchMixing(2, erase_prob=0.25)(before, torch.zeros(200).long())
    erased = (after != 9).any(1)  # (200, 16, 16)
    touched = erased.flatten(1).any(1)
    assert 0.15 < touched.float().mean() < 0.35
    assert (before == 9).all()  # the batch of the caller stays
    noise = after[:, 0][erased]
    assert abs(noise.mean()) < 0.1
    assert abs(noise.std() - 1) < 0.1
    areas = erased[touched].flatten(1).float().mean(1)
    assert 0.01 < areas.min() < areas.max() < 0.36


def test_an_odd_batch_is_refused_only_where_images_are_paired(images):
    with pytest.raises(ValueError, match='even batch, got 3'):
        BatchMixing(CLASSES, mixup=0.8)(images[:3], LABELS[:3])
    BatchMixing(CLASSES, label_smoothing=0.1)(images[:3], LABELS[:3])


def test_randaugment_is_timms_and_a_function_of_the_key():
    from timm.data import create_transform

    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    options = dict(is_training=True, color_jitter=None, interpolation='bicubic')
    pipeline = create_transform(224, auto_augment='rand-m9-mstd0.5-inc1', **options)
    theirs = next(t for t in pipeline.transforms if type(t).__name__ == 'RandAugment')
    for operation in theirs.ops:
        operation.magnitude_max = 9.99
    ours = RandAugment(224)
    changed = 0
    for visit in range(30):
        with seeded(SampleKey(0, visit, 0)):
            found = np.asarray(ours(image))
        with seeded(SampleKey(0, visit, 0)):
            np.testing.assert_array_equal(found, np.asarray(theirs(image)))
        changed += not np.array_equal(found, pixels)
    assert changed > 15
    with pytest.raises(ValueError, match='policy'):
        RandAugment(policy='original')


def test_no_strength_of_randaugment_is_too_much():
    """Pillow refuses to keep 0 bits, which timm asks for at its strongest."""
    image = Image.fromarray(np.full((8, 8, 3), 255, np.uint8))
    strongest = RandAugment(8, 'rand-m10-n40-p1-inc1')
    for visit in range(20):
        with seeded(SampleKey(0, visit, 0)):
            assert strongest(image).size == (8, 8)
