"""What mmdet asks of panopticapi, where that is not installed."""

import sys

import numpy as np
import pytest

import ccmim.operators.panopticapi as api


def test_colors_are_numbers_to_the_base_of_256():
    assert api.rgb2id(np.array([[1, 2, 3]], np.uint8)).tolist() == [1 + 512 + 196608]
    numbers = np.random.default_rng(0).integers(0, api.OFFSET, (5, 7))
    assert (api.rgb2id(api.id2rgb(numbers)) == numbers).all()


def test_panoptic_quality_is_that_of_the_definition():
    """PQ = sum of IoU / (TP + FP / 2 + FN / 2), averaged over classes; SQ * RQ = PQ."""
    matches, more = api.PQStat(), api.PQStat()
    matches[1].iou, matches[1].tp, matches[1].fp = 1.5, 2, 1
    more[1].fn, more[2].fn = 2, 1
    matches += more
    categories = {i: dict(isthing=i < 2) for i in (1, 2, 3)}
    mean, each = matches.pq_average(categories, None)
    assert each[1] == pytest.approx(dict(pq=1.5 / 3.5, sq=0.75, rq=2 / 3.5))
    assert each[2] == each[3] == dict(pq=0, sq=0, rq=0)
    assert mean == pytest.approx(dict(pq=1.5 / 7, sq=0.375, rq=1 / 3.5, n=2))
    things, _ = matches.pq_average(categories, True)
    assert things == pytest.approx(dict(each[1], n=1))
    assert things['sq'] * things['rq'] == pytest.approx(things['pq'])


def test_mmdet_finds_it(monkeypatch):
    for name in [m for m in sys.modules if m.startswith('panopticapi')]:
        monkeypatch.delitem(sys.modules, name)
    from mmdet.datasets.transforms import LoadPanopticAnnotations
    from mmdet.evaluation import functional
    from panopticapi.evaluation import OFFSET, VOID, PQStat
    from panopticapi.utils import id2rgb, rgb2id

    assert (OFFSET, VOID) == (256**3, 0)
    assert rgb2id(id2rgb(np.array([70000]))) == [70000]
    assert PQStat()[3].tp == 0
    assert LoadPanopticAnnotations().rgb2id(np.array([[0, 1, 0]])) == [256]
    assert functional.pq_compute_single_core(0, [], '', '', {}) is not None
