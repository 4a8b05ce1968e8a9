"""Top-1 and top-5 equal a slow count, and see every image once on two processes."""

import os

import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed

from ccmim.classification import TopAccuracy
from ccmim.data import VisitSampler


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


def _worker(rank, folder):
    os.chdir(folder)  # where the results are exchanged
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    samples, metric = _samples(), TopAccuracy()
    keys = [key.index for key in VisitSampler(samples, shuffle=False, seed=0)]
    for start in range(0, len(keys), 5):
        metric.process(None, [samples[i] for i in keys[start : start + 5]])
    found = metric.evaluate(len(samples))
    torch.save(found, f'{folder}/found{rank}')
    distributed.barrier()
    os._exit(0)  # Gloo's threads may wait for the interpreter's lock in destructors


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_count_the_padded_image_once(tmp_path):
    """23 images: each process gets 12, the first image comes twice."""
    mp.start_processes(_worker, (str(tmp_path),), nprocs=2, start_method='fork')
    samples = _samples()
    expected = {f'accuracy/top{k}': _oracle(samples, k) for k in (1, 5)}
    assert torch.load(tmp_path / 'found0') == pytest.approx(expected)
    assert torch.load(tmp_path / 'found1') == pytest.approx(expected)
