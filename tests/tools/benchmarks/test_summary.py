"""Figures are medians over rounds, and ratios are formed within each round."""

import pytest

from benchmarks.rows import Label, exact_of, reference_of
from benchmarks.summary import middle, ratio_of, summarize
from benchmarks.timing import Round

OURS = Label('step', 's', 8, 'ours', 'ccmim', 'bf16')
THEIRS = OURS._replace(code='published', precision='fp32')


def test_middle():
    assert middle([1.0, 2.0, 3.0, 4.0, 100.0]) == (3.0, 2.0)
    assert middle([7.0]) == (7.0, 0.0)


def test_ratio_is_the_median_of_each_rounds_ratio():
    """The ratio of the medians would be 6 / 2 = 3."""
    reference, own = [6.0, 2.0, 40.0], [1.0, 2.0, 10.0]
    assert ratio_of(reference, own) == (4.0, 2.5)


def test_ratio_needs_the_same_rounds():
    with pytest.raises(ValueError, match='shorter'):
        ratio_of([1.0, 2.0], [1.0])


def test_figures_of_a_row():
    own = [Round(2.0, 1.0, None), Round(4.0, 1.0, None), Round(2.0, 1.0, None)]
    reference = [Round(4.0, 5.0, None), Round(12.0, 2.0, None), Round(2.0, 3.0, None)]
    row = summarize(OURS, own, reference, 10, 5e9, 1e12, 3e6)
    assert row['images_per_s'] == 40  # 8 images, 10 steps, 2 s
    assert row['ms_per_step'] == 200
    assert row['iqr_percent'] == 50  # quartiles 2 and 3 around 2
    assert (row['ratio'], row['ratio_iqr']) == (2, 1)  # of 2, 3, 1
    assert row['cpu_ratio'] == 3  # of 5, 2, 3
    assert row['peak_percent'] == 20
    assert row['saved_mb_per_image'] == 3
    assert row['peak_mb'] is None


def test_gpu_memory_instead_of_cpu_time():
    rounds = [Round(1.0, 1.0, 5_000_000)]
    row = summarize(OURS, rounds, rounds, 1)
    assert row['peak_mb'] == 5
    assert row['cpu_ratio'] is None


def test_row_without_rounds_has_a_name_only():
    row = summarize(OURS, [], [], 1)
    assert row['code'] == 'ours'
    assert row['images_per_s'] is None


def test_reference_is_the_first_published_row_of_the_group():
    other = THEIRS._replace(size='b')
    later = THEIRS._replace(precision='bf16')
    assert reference_of(OURS, [other, OURS, THEIRS, later]) == THEIRS


def test_reference_is_else_the_first_row_of_the_group():
    first = OURS._replace(method='mae')
    assert reference_of(OURS, [THEIRS._replace(batch_size=4), first, OURS]) == first


def test_an_option_is_compared_with_the_exact_row_of_its_precision():
    """By CPU time on a CPU, by the clock where a GPU works beside this process."""
    option = OURS._replace(method='ccmim cached')
    assert exact_of(option) == OURS
    assert exact_of(OURS) is None
    rounds, exact = [Round(2.0, 4.0, None)], [Round(3.0, 5.0, None)]
    assert summarize(option, rounds, rounds, 1, exact=exact)['exact_ratio'] == 1.25
    assert summarize(OURS, rounds, rounds, 1)['exact_ratio'] is None
    rounds, exact = [Round(2.0, 4.0, 9)], [Round(3.0, 5.0, 9)]
    assert summarize(option, rounds, rounds, 1, exact=exact)['exact_ratio'] == 1.5
