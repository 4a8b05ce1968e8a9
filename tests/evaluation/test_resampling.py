"""Figures from what each image adds, and how far they move with other images."""

import numpy as np
import pytest

from ccmim.evaluation.resampling import (
    difference_range,
    figure,
    join,
    read_names,
    read_samples,
    write_samples,
)
from ccmim.evaluation.samples import Classified, Confusions, Matches, Overlaps, Segments


def overlaps(images=40, classes=3, shift=0):
    rng = np.random.default_rng(1)
    united = rng.integers(20, 60, (images, classes))
    return Overlaps(united // 2 + shift, united)


def test_iou_counts_an_image_as_often_as_it_is_drawn():
    sample = Overlaps(np.array([[4, 0], [1, 0]]), np.array([[8, 0], [2, 5]]))
    counts = np.array([[1, 0], [0, 2], [3, 1]])
    # The second class does not come at all in the first draw.
    expected = [50, (50 + 0) / 2, 100 * (13 / 26 + 0) / 2]
    assert sample.figures(counts).tolist() == pytest.approx(expected)


def test_confusions_have_the_iou_of_their_pixels():
    """Of two images: class 0 is taken for 1 once, in the first."""
    pairs = np.array([[[3, 1], [0, 4]], [[2, 0], [0, 1]]])
    sample = Confusions(pairs)
    counts = np.array([[1, 1], [1, 0], [0, 2]])
    expected = [100 * (5 / 6 + 5 / 6) / 2, 100 * (3 / 4 + 4 / 5) / 2, 100]
    assert sample.figures(counts).tolist() == pytest.approx(expected)
    iou, pixels = sample.by_class(2)
    assert iou.tolist() == pytest.approx([500 / 6] * 2)
    assert pixels.tolist() == [6, 5]


def test_quality_counts_an_image_as_often_as_it_is_drawn():
    """Found with an IoU of 0.8 and 0.6, one too many, two missed; a class not there."""
    overlap = np.array([[0.8, 0, 0], [0.6, 0, 0]])
    found, wrong, missed = overlap > 0, np.eye(2, 3)[::-1], np.array([[0, 0, 0]] * 2)
    missed[0, 1] = 2
    sample = Segments(overlap, found.astype(int), wrong.astype(int), missed)
    # Image 0: one found of class 0, and of class 1 two missed, one wrongly seen.
    counts = np.array([[1, 1], [1, 0], [0, 2]])
    expected = [100 * (1.4 / 2.5 + 0) / 2, 100 * (0.8 + 0) / 2, 100 * 0.6 / 1.5]
    assert sample.figures(counts).tolist() == pytest.approx(expected)
    quality, segments = sample.by_class(3)
    assert quality[:2].tolist() == pytest.approx([56, 0])
    assert np.isnan(quality[2])
    assert segments.tolist() == [2, 2, 0]


def coco(rng, images):
    """A judge of COCO after some wrong, some right and some doubled detections."""
    pytest.importorskip('pycocotools')
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = [], []
    for image in range(images):
        for _ in range(3):
            x, y, w, h = rng.integers(5, 40, 4).tolist()
            kind = int(rng.integers(1, 3))
            box = dict(image_id=image, category_id=kind)
            more = dict(bbox=[x, y, w, h], area=w * h, iscrowd=0)
            truth.append(dict(box, id=len(truth) + 1, **more))
            for _ in range(int(rng.integers(0, 3))):
                moved = [x + int(rng.integers(-4, 5)), y, w, h]
                found.append(dict(box, bbox=moved, score=float(rng.random())))
    api = COCO()
    api.dataset = dict(
        images=[dict(id=i, width=90, height=90) for i in range(images)],
        annotations=truth,
        categories=[dict(id=1, name='a'), dict(id=2, name='b')],
    )
    api.createIndex()
    judge = COCOeval(api, api.loadRes(found), 'bbox')
    judge.params.maxDets = [100]
    judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ['all']
    return judge


@pytest.mark.filterwarnings('ignore')
def test_ap_is_cocos_for_any_draw_of_the_images():
    from ccmim.dense.per_image import matches_of

    judge = coco(np.random.default_rng(0), images=12)
    judge.evaluate()
    sample = matches_of(judge)
    counts = np.array([[1] * 12, [1, 0] * 6, [0] * 11 + [1]])
    for row, ours in zip(counts, sample.figures(counts), strict=True):
        judge.params.imgIds = np.flatnonzero(row).tolist()
        judge.evaluate()
        judge.accumulate()
        precision = judge.eval['precision']
        assert ours == pytest.approx(100 * precision[precision > -1].mean())
    # Folds are as one test of all their images.
    parts = []
    for images in (range(5), range(5, 12)):
        judge.params.imgIds = [*images]
        judge.evaluate()
        parts.append(matches_of(judge))
    joined = join([join(parts)])
    assert joined.figures(counts) == pytest.approx(sample.figures(counts), abs=1e-9)
    (*by_class, absent), objects = sample.by_class(3)
    assert np.mean(by_class) == pytest.approx(figure(sample))
    assert np.isnan(absent)
    kinds = [one['category_id'] for one in judge.cocoGt.dataset['annotations']]
    assert objects.tolist() == [kinds.count(1), kinds.count(2)]
    judge.params.imgIds = [*range(12)]
    judge.evaluate()
    judge.accumulate()
    at_half = judge.eval['precision'][0, :, :, 0, 0].mean(1)
    assert sample.precisions() == pytest.approx(at_half)
    twice = sample.figures(np.array([[2] * 12]))
    assert twice == pytest.approx(sample.figures(counts[:1]), abs=0.5)


def test_a_class_that_no_drawn_image_has_does_not_count():
    """Two classes, an image of each; the second one's object is missed."""
    number, right = np.arange(2), np.array([[True, False]])
    objects, score = np.eye(2, dtype=int), np.array([0.9, 0.8])
    matches = Matches(number, number, right, right & ~right, objects, score)
    assert matches.figures(np.array([[1, 1], [2, 0], [0, 2]])).tolist() == [50, 100, 0]


def test_accuracy_counts_an_image_as_often_as_it_is_drawn():
    sample = Classified(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    counts = np.array([[1, 1, 1, 1], [0, 4, 0, 0], [2, 1, 1, 0], [1, 0, 0, 0]])
    assert sample.figures(counts).tolist() == [75, 0, 75, 100]
    assert [values.tolist() for values in sample.by_class(2)] == [[50, 100], [2, 2]]
    assert figure(join([sample, Classified(*np.array([[0], [1]]))])) == 60


def test_a_clear_lead_is_told_from_none():
    low, high = difference_range(overlaps(shift=6), overlaps())
    assert 0 < low < 100 * (6 * 120 / overlaps().united.sum()) < high
    assert difference_range(overlaps(), overlaps()) == (0.0, 0.0)
    noisy = np.random.default_rng(2).permutation(overlaps().shared)
    low, high = difference_range(Overlaps(noisy, overlaps().united), overlaps())
    assert low < 0 < high
    with pytest.raises(ValueError, match='tested on 40 and 30 images'):
        difference_range(overlaps(), overlaps(30))


def test_the_range_is_the_middle_95_per_cent_of_the_draws():
    """For shares of many images that of the normal distribution, in closed form."""
    numbers = np.arange(600)
    ours, theirs = (
        Classified(0 * numbers, (numbers % step == 0).astype(int)) for step in (5, 4)
    )
    lead = (ours.predicted == 0) - 1.0 * (theirs.predicted == 0)
    half = 100 * 1.959964 * lead.std() / 600**0.5
    found = difference_range(ours, theirs, rounds=20000)
    expected = 100 * lead.mean() - half, 100 * lead.mean() + half
    assert found == pytest.approx(expected, abs=0.04 * half)
    usual = difference_range(ours, theirs)
    assert usual == difference_range(ours, theirs, rounds=500, seed=0)
    assert usual != difference_range(ours, theirs, rounds=500, seed=1)


def test_samples_come_back_from_their_file(tmp_path):
    marks = np.array([[True, False]])
    numbers = np.array([0, 1]), np.array([0, 0]), marks, ~marks, np.array([[2], [1]])
    matches = Matches(*numbers, np.array([0.9, 0.2]))
    segments = Segments(*np.arange(8.0).reshape(4, 2, 1))
    samples = {'mIoU': overlaps(), 'coco/bbox_mAP': matches, 'PQ': segments}
    write_samples(samples, tmp_path / 'images.npz', ['a.jpg', 'b.jpg'])
    assert read_names(tmp_path / 'images.npz') == ['a.jpg', 'b.jpg']
    found = read_samples(tmp_path / 'images.npz')
    counts = np.array([[1, 2]])
    assert list(found) == list(samples)
    assert found['coco/bbox_mAP'].figures(counts) == matches.figures(counts)
    assert np.array_equal(found['mIoU'].united, overlaps().united)
    assert found['PQ'].figures(counts) == segments.figures(counts)
