"""The module ``panopticapi`` where it is not installed; see `ccmim.operators`.

mmdet's reader of panoptic maps and its measure ask for it, and it is in no package
registry. What they ask for is little: numbers of segments as colors, and Panoptic
Quality from counted matches (https://arxiv.org/abs/1801.00868, equation 1).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

VOID = 0  # the id of pixels without a segment
OFFSET = 256**3  # more than any number of a segment


def rgb2id(color: np.ndarray) -> np.ndarray:
    """Read colors (..., 3) as numbers to the base of 256, red the lowest digit."""
    red, green, blue = np.moveaxis(np.asarray(color).astype(np.int32), -1, 0)
    return red + 256 * (green + 256 * blue)


def id2rgb(number: np.ndarray) -> np.ndarray:
    """Write numbers (...) as colors (..., 3), the inverse of ``rgb2id``."""
    digits = [np.asarray(number) // 256**power % 256 for power in range(3)]
    return np.stack(digits, axis=-1).astype(np.uint8)


@dataclass
class PQStatCat:
    """Matches of one category: the sum of their overlaps, and counts."""

    iou: float = 0.0
    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __iadd__(self, other: 'PQStatCat') -> 'PQStatCat':
        """Add what another part of the images gave."""
        for name in ('iou', 'tp', 'fp', 'fn'):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class PQStat:
    """Matches of all categories."""

    def __init__(self) -> None:
        self.pq_per_cat: dict[int, PQStatCat] = defaultdict(PQStatCat)

    def __getitem__(self, category: int) -> PQStatCat:
        """Return the statistics of one category."""
        return self.pq_per_cat[category]

    def __iadd__(self, other: 'PQStat') -> 'PQStat':
        """Add what another part of the images gave."""
        for category, matches in other.pq_per_cat.items():
            self.pq_per_cat[category] += matches
        return self

    def pq_average(
        self, categories: Mapping[int, Mapping[str, Any]], isthing: bool | None
    ) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
        """Average over the categories that were there or were seen.

        Args:
            categories: By their ids, with ``isthing``.
            isthing: Objects only, regions only, or all when None.

        Returns:
            ``pq``, ``sq``, ``rq`` as shares and the number ``n`` of categories; and the
            first three of each category.
        """
        results, counted = {}, []
        for number, category in categories.items():
            if isthing is not None and bool(category['isthing']) != isthing:
                continue
            c = self[number]
            weight = c.tp + (c.fp + c.fn) / 2
            results[number] = dict(
                pq=c.iou / weight if weight else 0.0,
                sq=c.iou / c.tp if c.tp else 0.0,
                rq=c.tp / weight if weight else 0.0,
            )
            counted += [results[number]] if weight else []
        keys = ('pq', 'sq', 'rq')
        means = {k: sum(c[k] for c in counted) / max(len(counted), 1) for k in keys}
        return dict(**means, n=len(counted)), results
