"""How extents are compared with masks, by hand."""

import pytest
import torch

from studies.extent import area_under_curve


def test_pairs_inside_and_outside():
    """Three of four pairs and one tie of two, averaged over the images."""
    scores = torch.tensor([[3.0, 1.0, 2.0, 0.0], [1.0, 1.0, 0.0, 5.0]])
    inside = torch.tensor([[True, True, False, False], [True, False, False, False]])
    found = area_under_curve(scores, inside)
    assert found == pytest.approx((3 / 4 + (0.5 + 1 + 0) / 3) / 2)
    assert area_under_curve(-scores, inside) == pytest.approx(1 - found)
