"""Top-1 and top-5 equal a slow count, and see every image once on two processes."""

import os

import pytest
import torch

from ccmim.classification import TopAccuracy
from ccmim.data import VisitSampler
from tests.two_processes import in_two_processes


def _samples(count=23, classes=8):
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(count, classes, generator=generator).softmax(1)
    labels = torch.randint(classes, (count,), generator=generator)
    return [dict(scores=s, label=int(n)) for s, n in zip(scores, labels, strict=True)]


def _oracle(samples, k):
    hits = 0
    for sample in samples:
        values = sample['scores'].tolist()
        order = sorted(range(len(values)), key=lambda i: (-values[i], i))
        hits += sample['label'] in order[:k]
    return 100 * hits / len(samples)


def test_it_equals_a_slow_count():
    samples, metric = _samples(), TopAccuracy(topk=(1, 3, 5))
    for start in range(0, 23, 5):
        metric.process(None, samples[start : start + 5])
    found = metric.evaluate(23)
    expected = {f'accuracy/top{k}': _oracle(samples, k) for k in (1, 3, 5)}
    assert found == pytest.approx(expected)
    assert 0 < found['accuracy/top1'] < found['accuracy/top5'] < 100


def test_a_network_that_scores_all_alike_gets_chance():
    metric = TopAccuracy(topk=(1,))
    for label in range(4):
        metric.process(None, [dict(scores=torch.full((4,), 0.25), label=label)])
    assert metric.evaluate(4) == {'accuracy/top1': 25.0}


def test_other_classes_than_those_of_the_data_are_refused():
    metric = TopAccuracy()
    metric.dataset_meta = dict(classes=('a', 'b'))
    with pytest.raises(ValueError, match='8 classes apart, the data set has 2'):
        metric.process(None, _samples())
    with pytest.raises(ValueError, match='topk'):
        TopAccuracy(topk=(0, 1))


def _one_of_two(_, folder):
    os.chdir(folder)  # where the results are exchanged
    samples, metric = _samples(), TopAccuracy()
    keys = [key.index for key in VisitSampler(samples, shuffle=False, seed=0)]
    for start in range(0, len(keys), 5):
        metric.process(None, [samples[i] for i in keys[start : start + 5]])
    return metric.evaluate(len(samples))


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_count_the_padded_image_once(tmp_path):
    """23 images: each process gets 12, the first image comes twice."""
    samples = _samples()
    expected = {f'accuracy/top{k}': _oracle(samples, k) for k in (1, 5)}
    found = in_two_processes(tmp_path, _one_of_two, tmp_path)
    assert found == [pytest.approx(expected)] * 2
