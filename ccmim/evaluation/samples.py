"""What each test image adds to a metric.

n images, C classes, d detections, T overlaps that count as found, R draws of images.
"""

from dataclasses import dataclass, replace

import numpy as np

_RECALLS = np.linspace(0, 1, 101)  # where COCO reads precision
_AT_ONCE = 2**24  # numbers held for a part of the draws


@dataclass(frozen=True)
class Overlaps:
    """What each image adds to mIoU.

    Attributes:
        shared: Pixels (or patches) of each class that are found, (n, C).
        united: Pixels that are found, or should be, (n, C).
    """

    shared: np.ndarray
    united: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute mIoU in per cent, where image i comes ``counts[:, i]`` times.

        Args:
            counts: Of shape (R, n).

        Returns:
            Of shape (R,); classes that do not come are left out.
        """
        shared, united = counts @ self.shared, counts @ self.united
        return 100 * np.nanmean(_ratio(shared, united), axis=1)

    def by_class(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Compute the IoU of each class in per cent, and its pixels: both (C,)."""
        shared, united = self.shared.sum(0), self.united.sum(0)
        return _ratio(100 * shared, united), united

    def __len__(self) -> int:
        """Count the images."""
        return len(self.shared)


@dataclass(frozen=True)
class Confusions:
    """What each image adds to mIoU, and what its pixels were taken for.

    Attributes:
        pairs: Pixels by their class and by the predicted one, (n, C, C).
    """

    pairs: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute mIoU in per cent; see ``Overlaps.figures``."""
        return self._overlaps().figures(counts)

    def by_class(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Compute the IoU of each class in per cent, and its pixels: both (C,)."""
        return self._overlaps().by_class(count)[0], self.pairs.sum((0, 2))

    def __len__(self) -> int:
        """Count the images."""
        return len(self.pairs)

    def _overlaps(self) -> Overlaps:
        shared = np.diagonal(self.pairs, axis1=1, axis2=2)
        return Overlaps(shared, self.pairs.sum(1) + self.pairs.sum(2) - shared)


@dataclass(frozen=True)
class Matches:
    """What each image adds to COCO's AP, over all sizes.

    Attributes:
        image: Number of the image of each detection, (d,), the surest first.
        category: Number of its category, (d,).
        right: Whether it found an object, (T, d).
        ignored: Whether it does not count, (T, d).
        objects: Objects to be found, (n, C).
        score: How sure it is, (d,), falling.
    """

    image: np.ndarray
    category: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray
    score: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute AP in per cent; see ``Overlaps.figures``."""
        parts = []
        for category in range(self.objects.shape[1]):
            own = self.category == category
            total = counts @ self.objects[:, category]  # (R,)
            step = max(1, _AT_ONCE // max(1, len(self.right) * int(own.sum())))
            values = [
                self._precision(own, counts[i : i + step], total[i : i + step])
                for i in range(0, len(counts), step)
            ]
            parts.append(np.concatenate(values))
        return 100 * np.nanmean(np.stack(parts), axis=0)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.objects)

    def by_class(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Compute the AP of each class in per cent, and its objects: both (C,)."""
        once = np.ones((1, len(self)), int)
        values = np.full(count, np.nan)
        for category in range(min(count, self.objects.shape[1])):
            own = self.category == category
            total = once @ self.objects[:, category]
            values[category] = 100 * self._precision(own, once, total)[0]
        return values, self.objects.sum(0)

    def precisions(self) -> np.ndarray:
        """Compute the precision at 101 recalls and the least overlap, (101,)."""
        once = np.ones((1, len(self)), int)
        least = replace(self, right=self.right[:1], ignored=self.ignored[:1])
        curves = []
        for category in range(self.objects.shape[1]):
            total = once @ self.objects[:, category]
            if total[0]:
                own = self.category == category
                curves.append(least._curves(own, once, total)[0, 0])
        return np.mean(curves, axis=0) if curves else np.full(len(_RECALLS), np.nan)

    def _precision(
        self, own: np.ndarray, counts: np.ndarray, total: np.ndarray
    ) -> np.ndarray:
        """Mean precision of a category over recalls and overlaps: (R,)."""
        return self._curves(own, counts, total).mean(axis=(1, 2))

    def _curves(
        self, own: np.ndarray, counts: np.ndarray, total: np.ndarray
    ) -> np.ndarray:
        """Precision of a category at each overlap and recall: (R, T, 101)."""
        weight = counts[:, None, self.image[own]]  # (R, 1, d)
        kept = ~self.ignored[:, own]
        right = np.cumsum(weight * (self.right[:, own] & kept), axis=2)  # (R, T, d)
        wrong = np.cumsum(weight * (~self.right[:, own] & kept), axis=2)
        precision = right / np.maximum(right + wrong, np.finfo(float).eps)
        precision = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
        curves = np.full((len(counts), len(self.right), len(_RECALLS)), np.nan)
        for r, t in np.ndindex(*curves.shape[:2]):
            if total[r] > 0:
                at = np.searchsorted(right[r, t] / total[r], _RECALLS, side='left')
                held = at < right.shape[2]
                curves[r, t] = 0
                curves[r, t, held] = precision[r, t, at[held]]
        return curves


@dataclass(frozen=True)
class Segments:
    """What each image adds to Panoptic Quality.

    Attributes:
        overlap: Sum of the IoU of the found segments of each class, (n, C).
        found: Their number, (n, C).
        wrong: Number of predicted segments that are none, (n, C).
        missed: Number of segments that were not found, (n, C).
    """

    overlap: np.ndarray
    found: np.ndarray
    wrong: np.ndarray
    missed: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute PQ in per cent; see ``Overlaps.figures``."""
        overlap, weight = counts @ self.overlap, counts @ self._weight()
        return 100 * np.nanmean(_ratio(overlap, weight), axis=1)

    def by_class(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Compute the PQ of each class in per cent, and its segments: both (C,)."""
        overlap, weight = self.overlap.sum(0), self._weight().sum(0)
        segments = (self.found + self.missed).sum(0)
        return _ratio(100 * overlap, weight), segments

    def __len__(self) -> int:
        """Count the images."""
        return len(self.overlap)

    def _weight(self) -> np.ndarray:
        return self.found + (self.wrong + self.missed) / 2


@dataclass(frozen=True)
class Hits:
    """What each image adds to a fraction of images.

    Attributes:
        right: 1 or 0 for each image, NaN if it does not count, (n,).
    """

    right: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute the fraction in per cent; see ``Overlaps.figures``."""
        counted = np.isfinite(self.right)
        total = np.maximum(counts @ counted, np.finfo(float).tiny)
        return 100 * (counts @ np.where(counted, self.right, 0)) / total

    def __len__(self) -> int:
        """Count the images."""
        return len(self.right)


@dataclass(frozen=True)
class Likeness:
    """What each image adds to the mean cosine between features of different images.

    Attributes:
        features: Of the images, (n, D).
    """

    features: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute the mean cosine, from -1 to 1; see ``Overlaps.figures``.

        An image that comes twice is no pair with itself.
        """
        features = self.features.astype(float)
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        units = features / np.maximum(lengths, np.finfo(float).tiny)
        own = counts.astype(float) ** 2
        pairs = np.square(counts @ units).sum(1) - own @ np.square(units).sum(1)
        return pairs / np.maximum(counts.sum(1) ** 2.0 - own.sum(1), 1)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.features)


@dataclass(frozen=True)
class Mean:
    """The mean of a figure over several samples of the same images.

    Attributes:
        parts: The samples, such as one for each seed.
    """

    parts: tuple[Overlaps, ...]

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute the mean; see ``Overlaps.figures``."""
        return np.mean([part.figures(counts) for part in self.parts], axis=0)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.parts[0])


@dataclass(frozen=True)
class Classified:
    """Which class each image was taken for.

    Attributes:
        label: Number of its class, (n,).
        predicted: Number of the class that was predicted, (n,).
    """

    label: np.ndarray
    predicted: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute top-1 in per cent; see ``Overlaps.figures``."""
        right = self.label == self.predicted
        return 100 * (counts @ right) / np.maximum(counts.sum(axis=1), 1)

    def by_class(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Compute the accuracy in each class in per cent, and its images: both (C,)."""
        images = np.bincount(self.label, minlength=count)
        hits = np.bincount(self.label[self.label == self.predicted], minlength=count)
        return _ratio(100 * hits, images), images

    def __len__(self) -> int:
        """Count the images."""
        return len(self.label)


Sample = (
    Overlaps | Confusions | Matches | Segments | Hits | Classified | Likeness | Mean
)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, NaN where the whole is nothing."""
    ratio = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=ratio, where=whole > 0)
