"""A data set of images without labels."""

import logging
import os
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from PIL import Image
from torch.utils.data import Dataset

from ccmim.data.image import BadImageError, decode_image
from ccmim.data.randomness import SampleKey, replacements, seeded
from ccmim.data.sources import open_source
from ccmim.registry import DATASETS, TRANSFORMS

_ALWAYS_ALLOWED = 3


@DATASETS.register_module()
class UnlabelledImages(Dataset):
    """Images of folders, list files or tar shards, transformed.

    What the transforms draw is a function of the sample's key (see ``SampleKey``),
    so it does not depend on workers or on what was loaded before.

    A damaged image is named once in the log and from then on replaced by another
    one, chosen by the key. When more than ``max_bad_share`` of the images turn out
    damaged the run stops; three are always allowed, as long as a good one is left.
    Loader workers share what they know of this, ranks do not.

    Args:
        data: What ``open_source`` takes: folder, list file, tar shards, glob, list.
        transform: One config or a list of configs of transforms, applied in order;
            the last must return a tensor (``ccmim.ToUint8Tensor``).
        root: Folder that relative paths in list files start from; the folder of
            each list file when None.
        max_bad_share: Share of damaged images above which to stop, from 0 to 1.
        least_side: When positive, large JPEGs are decoded at a fraction of their size
            with at least so many pixels on the short side (see ``decode_image``).
    """

    def __init__(
        self,
        data: str | os.PathLike | Sequence[str | os.PathLike],
        transform: dict | Sequence[dict],
        root: str | os.PathLike | None = None,
        max_bad_share: float = 0.01,
        least_side: int = 0,
    ) -> None:
        if not 0 <= max_bad_share <= 1:
            raise ValueError(f'max_bad_share must lie in [0, 1], got {max_bad_share}')
        transforms = [transform] if isinstance(transform, dict) else transform
        self._transforms = [TRANSFORMS.build(config) for config in transforms]
        self._source = open_source(data, root)
        self._least_side = least_side
        allowed = max(_ALWAYS_ALLOWED, int(max_bad_share * len(self)))
        self._max_bad = min(allowed, len(self) - 1)
        # Shared memory: what one worker finds, all workers and the parent know.
        self._bad = torch.zeros(len(self), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        """Count the images, damaged ones too."""
        return len(self._source)

    @property
    def metainfo(self) -> dict:
        """What mmengine compares on resume, to warn when the data changed."""
        return dict(num_images=len(self))

    def __getitem__(self, key: SampleKey | int) -> dict:
        """Load one sample.

        Args:
            key: Key of the sample; a plain index stands for seed 0, visit 0.

        Returns:
            ``inputs``: the transformed image, uint8 (3, H, W) RGB. ``data_samples``:
            the index of the image that is in ``inputs``.

        Raises:
            RuntimeError: Too many images are damaged.
        """
        key = SampleKey(*key) if isinstance(key, tuple) else SampleKey(0, 0, int(key))
        index, image = self._load(key)
        with seeded(key):
            for transform in self._transforms:
                image = transform(image)
        return dict(inputs=image, data_samples=index)

    def _load(self, key: SampleKey) -> tuple[int, Image.Image]:
        """Decode the image of a key, or the first good one of its replacements."""
        index, others = key.index, replacements(key, len(self))
        while True:
            if not self._bad[index]:
                try:
                    return index, decode_image(
                        self._source.read(index), self._least_side
                    )
                except (BadImageError, OSError) as error:
                    self._report(index, error)
            index = next(others)

    def _report(self, index: int, error: Exception) -> None:
        self._bad[index] = True
        name, reason = self._source.name(index), getattr(error, 'strerror', None)
        print_log(
            f'Damaged image, replaced by others: {name} ({reason or error})',
            logger='current',
            level=logging.WARNING,
        )
        bad = self._bad.nonzero().flatten().tolist()
        if len(bad) > self._max_bad:
            names = ', '.join(self._source.name(i) for i in bad[:5])
            raise RuntimeError(
                f'{len(bad)} of {len(self)} images are damaged, {self._max_bad} are '
                f'allowed (max_bad_share): {names}{", ..." if len(bad) > 5 else ""}'
            )
