"""Bootstrap of metrics over test images.

n images, C classes, d detections, T overlaps that count as found, R draws of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from ccmim.evaluation.samples import (
    Classified,
    Confusions,
    Matches,
    Overlaps,
    Sample,
    Segments,
)
from ccmim.files import replacing

MOST_CONFUSED = 40  # classes of a confusion matrix that can be read


def figure(sample: Sample) -> float:
    """Compute the figure of a sample where each image comes once."""
    return float(sample.figures(np.ones((1, len(sample))))[0])


def join(samples: Sequence[Sample]) -> Sample:
    """Join what the images of several tests add, such as those of folds.

    Args:
        samples: Of one kind and with the same classes, at least one.
    """
    first, parts = samples[0], {}
    for name in (f.name for f in fields(first)):
        values = [getattr(sample, name) for sample in samples]
        if isinstance(first, Matches) and name == 'image':
            starts = np.cumsum([0, *(len(sample) for sample in samples)])
            values = [v + start for v, start in zip(values, starts, strict=False)]
        along = 1 if isinstance(first, Matches) and values[0].dtype == bool else 0
        parts[name] = np.concatenate(values, axis=along)
    if isinstance(first, Matches):  # the surest of all tests first
        order = np.argsort(-parts['score'], kind='stable')
        parts |= {k: parts[k][..., order] for k in parts if k != 'objects'}
    return type(first)(**parts)


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
        raise ValueError(
            f'tested on {len(ours)} and {len(theirs)} images: test both on the same'
        )
    count = len(ours)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(count, np.full(count, 1 / count), size=rounds)
    leads = ours.figures(counts) - theirs.figures(counts)
    low, high = np.nanpercentile(leads, [2.5, 97.5])
    return float(low), float(high)


def write_samples(
    samples: Mapping[str, Sample], file: str | Path, names: Sequence[str] = ()
) -> None:
    """Write what each image adds to some figures, by the name of the figure.

    Args:
        samples: By the name of the figure.
        file: Where they go.
        names: Of the images.
    """
    arrays = {
        f'{name}|{type(sample).__name__}|{field.name}': getattr(sample, field.name)
        for name, sample in samples.items()
        for field in fields(sample)
    }
    arrays['names'] = np.array(list(names), dtype=np.str_)
    with replacing(file) as part:
        np.savez_compressed(part, **arrays)


def read_names(file: str | Path) -> list[str]:
    """Read the names of the images that ``write_samples`` wrote."""
    with np.load(file) as arrays:
        return arrays['names'].tolist() if 'names' in arrays.files else []


def read_samples(file: str | Path) -> dict[str, Sample]:
    """Read what ``write_samples`` wrote."""
    parts: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    with np.load(file) as arrays:
        for key in filter(lambda key: '|' in key, arrays.files):
            name, kind, field = key.split('|')
            parts.setdefault((name, kind), {})[field] = arrays[key]
    known = (Overlaps, Confusions, Matches, Segments, Classified)
    kinds = {kind.__name__: kind for kind in known}
    return {
        name: kinds[kind](**values)
        for (name, kind), values in parts.items()
        # Files of older runs lack what later ones hold.
        if values.keys() == {field.name for field in fields(kinds[kind])}
    }
