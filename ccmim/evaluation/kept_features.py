"""Features of labeled photos that are kept on disk, each by the bytes of its file.

n photos, D width.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from ccmim.evaluation.dense_features import digest_of_state
from ccmim.evaluation.features import extract_features
from ccmim.files import replacing


def kept_features(
    folder: Path, backbone: Any, settings: object, loader: DataLoader, **options: Any
) -> tuple[Tensor, Tensor]:
    """Compute the features of those photos alone whose features are not kept yet.

    A file holds what one network makes of photos, whichever sets they are in, so that
    parts of a set, folds and a second question cost nothing.

    Args:
        folder: Where the files are.
        backbone: Vision Transformer.
        settings: What else decides what it makes of a photo.
        loader: Of ``LabeledImages``, in order.
        options: Of ``extract_features``, also deciding.

    Returns:
        See ``extract_features``.
    """
    preprocess = options.pop('preprocess')
    own = digest_of_state(backbone.state_dict(), (settings, sorted(options.items())))
    file = folder / f'{own.hex()[:32]}.npz'
    known: dict[bytes, np.ndarray] = {}
    if file.is_file():
        with np.load(file) as kept:
            digests = [row.tobytes() for row in kept['digests']]
            known = dict(zip(digests, kept['features'], strict=True))
    images = loader.dataset
    digests = [images.digest(i) for i in range(len(images))]
    missing = [i for i, digest in enumerate(digests) if digest not in known]
    labels = torch.from_numpy(images.labels.copy())
    by_index = dict.fromkeys(range(len(images)))
    if missing:
        seen = []

        def noting(batch: dict[str, Any], training: bool) -> dict[str, Any]:
            seen.extend(torch.as_tensor(batch['data_samples']).tolist())
            return preprocess(batch, training)

        part = DataLoader(
            Subset(images, missing),
            loader.batch_size,
            num_workers=min(loader.num_workers, len(missing)),
            collate_fn=loader.collate_fn,
        )
        new, labels[missing] = extract_features(backbone, part, noting, **options)
        by_index |= zip(missing, new.numpy(), strict=True)
        # A damaged photo has the features of another one, which are not its own.
        sound = [i for i, shown in zip(missing, seen, strict=True) if i == shown]
        known |= {digests[i]: by_index[i] for i in sound}
        if known:
            _write(file, known)
    rows = [
        known[d] if by_index[i] is None else by_index[i] for i, d in enumerate(digests)
    ]
    return torch.from_numpy(np.stack(rows)), labels


def _write(file: Path, known: dict[bytes, np.ndarray]) -> None:
    with replacing(file) as part:
        np.savez(
            part,
            digests=np.frombuffer(b''.join(known), np.uint8).reshape(len(known), -1),
            features=np.stack([*known.values()]),
        )
