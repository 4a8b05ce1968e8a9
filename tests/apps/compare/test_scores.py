"""Means, spreads and paired differences are the textbook's."""

import math

import pytest
from PIL import Image

from ccmim.apps.compare import Score, markdown, plot_scores, read_csv, write_csv
from ccmim.apps.compare.scores import METRICS, difference, estimate, in_percent


def scores(**values):
    return [
        Score(arm, 'toy', seed, 'mIoU', value)
        for arm, of_seed in values.items()
        for seed, value in enumerate(of_seed)
        if value is not None
    ]


def test_an_estimate_has_students_confidence_interval():
    mean, spread, half, count = estimate([1.0, 2.0, 6.0])
    assert (mean, count) == (3.0, 3)
    assert spread == pytest.approx(math.sqrt(7))
    assert half == pytest.approx(4.302653 * math.sqrt(7 / 3))  # t at 97.5 %, 2 degrees
    assert all(math.isnan(x) for x in estimate([5.0])[1:3]), 'of one run there is none'


def test_coco_gives_shares_and_all_others_per_cent():
    of_coco = {'coco/bbox_mAP', 'coco/segm_mAP'}
    for key in METRICS:
        factor = 100 if key in of_coco else 1
        assert [in_percent(key, v) for v in (0.0, 0.25)] == [0, 0.25 * factor]
    assert math.isnan(in_percent('coco/bbox_mAP', -1.0))  # no object


def test_differences_are_taken_seed_by_seed_whatever_the_order_and_whoever_lacks_one():
    # Seeds differ widely, but the lead is nearly the same in each: pairing shows it.
    found = scores(a=[None, 30.0, 50.0, 10.0], b=[70.0, 31.0, 51.5, None])
    lead = difference(found[::-1], 'b', 'a', 'toy', 'mIoU')
    assert (lead.count, lead.mean) == (2, pytest.approx(1.25))
    assert lead.spread == pytest.approx(0.5 / math.sqrt(2))
    assert difference(found, 'c', 'a', 'toy', 'mIoU') is None


def test_the_table_marks_what_was_not_run_and_gives_leads_their_intervals():
    lines = markdown(scores(a=[10.0, 12.0], b=[11.0]), ['a', 'b', 'c']).splitlines()
    assert '| a | 11.0 \N{PLUS-MINUS SIGN} 1.4 (2) |' in lines
    assert '| b | 11.0 (1) |' in lines
    assert lines.count('| c | not run |') == 2
    assert '| b | +1.0 (one seed) |' in lines
    text = markdown(scores(a=[10.0, 12.0], b=[11.0, 15.0]), ['a', 'b'])
    assert '| b | +2.0 [-10.7, +14.7] |' in text.splitlines()


def test_a_csv_file_gives_the_scores_back(tmp_path):
    found = scores(a=[10.25, 12.5])
    write_csv(found, tmp_path / 'scores.csv')
    assert read_csv(tmp_path / 'scores.csv') == found


def test_the_plot_is_a_picture_with_dots_of_each_arm(tmp_path):
    plot_scores(scores(a=[1.0, 2.0], b=[3.0]), ['a', 'b', 'c'], tmp_path / 'scores.png')
    with Image.open(tmp_path / 'scores.png') as picture:
        colors = {c for _, c in picture.convert('RGB').getcolors(1 << 24)}
    assert {(31, 119, 180), (255, 127, 14)} <= colors  # C0 and C1, at the means
