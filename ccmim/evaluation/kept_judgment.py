"""Judgments that are kept on disk, so that a second question costs nothing."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from ccmim.evaluation.dense_features import DenseFeatures, digest_of_state
from ccmim.evaluation.judging import Judgment, judge
from ccmim.evaluation.labeled_photos import LabeledPhotos
from ccmim.evaluation.samples import Hits, Likeness, Mean, Overlaps, Sample
from ccmim.files import replacing

_KINDS = {kind.__name__: kind for kind in (Overlaps, Hits, Likeness)}
_PICTURES = ('segmented', 'clustered')


def kept_judgment(
    folder: Path,
    photos: LabeledPhotos,
    train: DenseFeatures,
    test: DenseFeatures,
    k: int,
    memory: int,
    shown: Sequence[int] = (),
) -> Judgment:
    """Read what ``judge`` found before, or call it and keep what it finds.

    A file is of the features, the labels, the arguments, the code that measures and
    the version of PyTorch.

    Args:
        folder: Where the files are.
        photos: As of ``judge``, like all that follows.
        train: Features of the training photos.
        test: Features of the test photos.
        k: Neighbors.
        memory: Patches that are remembered.
        shown: Test photos to keep the answers of.
    """
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sorted(Path(__file__).parent.glob('*.py')):
        digest.update(source.read_bytes())
    for part in (train, test):
        parts = dict(patches=part.patches, photos=part.photos, boxes=part.boxes)
        settings = part.grid, part.size, part.patch_size, k, memory, list(shown)
        digest.update(digest_of_state(parts, settings))
    _add_labels(digest, photos, test.size)
    file = folder / f'{digest.hexdigest()[:32]}.npz'
    if file.is_file():
        return _read(file)
    judgment = judge(photos, train, test, k, memory, shown)
    _write(file, judgment)
    return judgment


def _add_labels(
    digest: 'hashlib._Hash', photos: LabeledPhotos, size: tuple[int, int]
) -> None:
    digest.update(repr(photos.classes).encode())
    for photo in (*photos.train, *photos.test):
        boxes = None if photo.boxes is None else photo.boxes.tolist()
        digest.update(repr((photo.label, boxes)).encode())
        if photo.draw is not None:
            digest.update(photo.map(size).numpy().tobytes())


def _write(file: Path, judgment: Judgment) -> None:
    arrays = {'figures': np.array(json.dumps(judgment.figures))}
    for name in _PICTURES:
        if pictures := getattr(judgment, name):
            arrays[name] = torch.stack(pictures).numpy()
    for name, sample in judgment.samples.items():
        several = isinstance(sample, Mean)
        for number, part in enumerate(sample.parts if several else [sample]):
            key = f'{name}|{number if several else ""}|{type(part).__name__}'
            for field in fields(part):
                arrays[f'{key}|{field.name}'] = getattr(part, field.name)
    with replacing(file) as part:
        np.savez_compressed(part, **arrays)


def _read(file: Path) -> Judgment:
    with np.load(file) as kept:
        arrays = {name: kept[name] for name in kept.files}
    pictures = [
        [*torch.from_numpy(arrays.pop(n))] if n in arrays else [] for n in _PICTURES
    ]
    figures = json.loads(str(arrays.pop('figures')))
    parts: dict[tuple[str, str, str], dict[str, np.ndarray]] = defaultdict(dict)
    for key, array in arrays.items():
        name, number, kind, field = key.split('|')
        parts[name, number, kind][field] = array
    samples: dict[str, Sample] = {}
    for (name, number, kind), values in parts.items():
        sample = _KINDS[kind](**values)
        if number:
            before = samples[name].parts if name in samples else ()
            sample = Mean((*before, sample))
        samples[name] = sample
    return Judgment(figures, samples, *pictures)
