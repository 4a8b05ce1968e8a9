"""How far a figure would move with other test images: the bootstrap.

n images, C classes, d detections, T overlaps that count as found, R draws of images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ccmim.files import replacing

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
        iou = np.full(shared.shape, np.nan)
        np.divide(shared, united, out=iou, where=united > 0)
        return 100 * np.nanmean(iou, axis=1)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.shared)


@dataclass(frozen=True)
class Matches:
    """What each image adds to COCO's AP, over all sizes.

    Attributes:
        image: Number of the image of each detection, (d,), the surest first.
        category: Number of its category, (d,).
        right: Whether it found an object, (T, d).
        ignored: Whether it does not count, (T, d).
        objects: Objects to be found, (n, C).
    """

    image: np.ndarray
    category: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute AP in per cent; see ``Overlaps.figures``."""
        parts = []
        for category in range(self.objects.shape[1]):
            own = self.category == category
            total = counts @ self.objects[:, category]  # (R,)
            step = max(1, _AT_ONCE // max(1, len(self.right) * int(own.sum())))
            found = [
                self._precision(own, counts[i : i + step], total[i : i + step])
                for i in range(0, len(counts), step)
            ]
            parts.append(np.concatenate(found))
        return 100 * np.nanmean(np.stack(parts), axis=0)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.objects)

    def _precision(
        self, own: np.ndarray, counts: np.ndarray, total: np.ndarray
    ) -> np.ndarray:
        """Mean precision of a category over recalls and overlaps: (R,)."""
        weight = counts[:, None, self.image[own]]  # (R, 1, d)
        kept = ~self.ignored[:, own]
        right = np.cumsum(weight * (self.right[:, own] & kept), axis=2)  # (R, T, d)
        wrong = np.cumsum(weight * (~self.right[:, own] & kept), axis=2)
        precision = right / np.maximum(right + wrong, np.finfo(float).eps)
        precision = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
        found = np.full((len(counts), len(self.right)), np.nan)
        for r, t in np.ndindex(*found.shape):
            if total[r] > 0:
                at = np.searchsorted(right[r, t] / total[r], _RECALLS, side='left')
                held = at < right.shape[2]
                found[r, t] = precision[r, t, at[held]].sum() / len(_RECALLS)
        return found.mean(axis=1)


@dataclass(frozen=True)
class Hits:
    """What each image adds to a share of images.

    Attributes:
        right: 1 or 0 for each image, NaN if it does not count, (n,).
    """

    right: np.ndarray

    def figures(self, counts: np.ndarray) -> np.ndarray:
        """Compute the share in per cent; see ``Overlaps.figures``."""
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


Sample = Overlaps | Matches | Hits | Likeness | Mean


def figure(sample: Sample) -> float:
    """Compute the figure of a sample where each image comes once."""
    return float(sample.figures(np.ones((1, len(sample))))[0])


def difference_range(
    ours: Sample, theirs: Sample, rounds: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Bound a difference between two models, tested on the same images.

    The images are drawn anew, with replacement, for both models alike; that is the
    chance of the test set alone, not that of training.

    Args:
        ours: Of the one model.
        theirs: Of the other, image by image in the same order.
        rounds: Draws.
        seed: Of the draws.

    Returns:
        The middle 95 % of the difference, in units of the figure.

    Raises:
        ValueError: If the two were tested on different numbers of images.
    """
    if len(ours) != len(theirs):
        raise ValueError(f'tested on {len(ours)} and {len(theirs)} images: no pairs')
    count = len(ours)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(count, np.full(count, 1 / count), size=rounds)
    leads = ours.figures(counts) - theirs.figures(counts)
    low, high = np.nanpercentile(leads, [2.5, 97.5])
    return float(low), float(high)


def write_samples(samples: Mapping[str, Sample], file: str | Path) -> None:
    """Write what each image adds to some figures, by the name of the figure."""
    arrays = {
        f'{name}|{type(sample).__name__}|{field.name}': getattr(sample, field.name)
        for name, sample in samples.items()
        for field in fields(sample)
    }
    with replacing(file) as part:
        np.savez_compressed(part, **arrays)


def read_samples(file: str | Path) -> dict[str, Sample]:
    """Read what ``write_samples`` wrote."""
    parts: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    with np.load(file) as arrays:
        for key in arrays.files:
            name, kind, field = key.split('|')
            parts.setdefault((name, kind), {})[field] = arrays[key]
    kinds = {kind.__name__: kind for kind in (Overlaps, Matches)}
    return {name: kinds[kind](**found) for (name, kind), found in parts.items()}
