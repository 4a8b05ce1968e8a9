"""A dataset of unlabeled images."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Literal

import torch
from PIL import Image
from torch.utils.data import Dataset, get_worker_info

from ccmim.data.bad_images import BadImages
from ccmim.data.exclude import fraction_of, leave_out
from ccmim.data.image import BadImageError, decode_image
from ccmim.data.randomness import SampleKey, replacements, seeded
from ccmim.data.sources import ImageFiles, open_source
from ccmim.ranges import Index, NonNegative, Parts, PositiveRatio, Ratio
from ccmim.registry import DATASETS, TRANSFORMS

_MOST_WORKERS = 4096


@DATASETS.register_module()
class UnlabeledImages(Dataset):
    """Images of folders, list files or tar shards, transformed.

    What the transforms draw is a function of the sample's key (see ``SampleKey``),
    so it does not depend on workers or on what was loaded before.

    A damaged image is named once in the log and from then on replaced by another
    one, chosen by the key. When more than ``max_bad_ratio`` of the images turn out
    damaged the run stops; three are always allowed, as long as a good one is left.
    With ``ccmim.BadFilesHook`` they are listed in a file, which all ranks share.

    Args:
        data: What ``open_source`` takes: folder, list file, tar shards, glob, list.
        transform: One config or a list of configs of transforms, applied in order;
            the last must return a tensor (``ccmim.ToUint8Tensor``).
        root: Folder that relative paths in list files start from; the folder of
            each list file when None.
        max_bad_ratio: Fraction of damaged images above which to stop, from 0 to 1.
        least_side: When positive, large JPEGs are decoded at a fraction of their size
            with at least so many pixels on the short side (see ``decode_image``).
        exclude: A list of images to leave out, as ``tools/check_images.py`` and
            pretraining write it (``bad_files.txt``); the rest is numbered anew.
        fraction: Of the images, in (0, 1], how many are used: always the same ones,
            drawn at random; a smaller fraction is part of a larger one.
        cache: 'ram' keeps decoded images in the memory of each loader worker, the
            first ones that it loads; samples are the same. For sets that fit into it.
        cache_gb: Memory for that in all workers of a training process together.

    Attributes:
        bad: What is known of the images that cannot be used.
        reading: Which image each loader worker is at.
        excluded: The reason of each image that was left out, by name.
    """

    def __init__(
        self,
        data: str | os.PathLike | Sequence[str | os.PathLike],
        transform: Parts,
        root: str | os.PathLike | None = None,
        max_bad_ratio: Ratio = 0.01,
        least_side: Index = 0,
        exclude: str | os.PathLike | None = None,
        fraction: PositiveRatio = 1.0,
        cache: Literal['ram'] | None = None,
        cache_gb: NonNegative = 2.0,
    ) -> None:
        transforms = [transform] if isinstance(transform, dict) else transform
        self._transforms = [TRANSFORMS.build(config) for config in transforms]
        self._source = open_source(data, root)
        self.excluded: dict[str, str] = {}
        if exclude is not None:
            self._source, self.excluded = leave_out(self._source, exclude)
        if fraction < 1:
            self._source = fraction_of(self._source, fraction)
        self._least_side = least_side
        self._decoded: dict[int, Image.Image] = {}
        self._room = int(cache_gb * 1e9) if cache else 0  # bytes
        self.bad = BadImages(self._source, max_bad_ratio)
        self.reading = Reading()

    def __len__(self) -> int:
        """Count the images, damaged ones too."""
        return len(self._source)

    @property
    def metainfo(self) -> dict:
        """What mmengine compares on resume, to warn when the data changed."""
        return dict(num_images=len(self))

    def name(self, index: int) -> str:
        """Name image ``index``: one printable line."""
        return self._source.name(index)

    def paths(self) -> list[bytes]:
        """List what distinguishes the images, in order and quickly: paths as given."""
        return self._source.paths()

    def joined_paths(self) -> bytes:
        """Return ``paths``, one a line."""
        source = self._source
        files = isinstance(source, ImageFiles)
        return source.joined() if files else b'\n'.join(source.paths())

    def checksum(self, index: int) -> int:
        """Hash the size of image ``index`` and some of its bytes; 0 if unreadable."""
        return self._source.checksum(index)

    def digest(self, index: int) -> bytes:
        """Digest the bytes of image ``index``; of nothing if it cannot be read."""
        try:
            return sha256(self._source.read(index)).digest()
        except (BadImageError, OSError):
            return sha256().digest()

    def __getitem__(self, key: SampleKey | int) -> dict:
        """Load one sample.

        Args:
            key: Key of the sample; a plain index stands for seed 0, visit 0.

        Returns:
            ``inputs``: the transformed image, uint8 (3, H, W) RGB. ``data_samples``:
            the index of the image that is in ``inputs``.

        Raises:
            TooManyBadImagesError: Too many images are damaged.
        """
        key = SampleKey(*key) if isinstance(key, tuple) else SampleKey(0, 0, int(key))
        index, image = self._load(key)
        with seeded(key):
            for transform in self._transforms:
                image = transform(image)
        return dict(inputs=image, data_samples=index)

    def picture(self, index: int) -> Image.Image:
        """Decode image ``index`` without transforming it; another if it is damaged."""
        return self._load(SampleKey(0, 0, index))[1]

    def _load(self, key: SampleKey) -> tuple[int, Image.Image]:
        """Decode the image of a key, or the first good one of its replacements."""
        index, others = key.index, replacements(key, len(self))
        while True:
            if index in self._decoded:
                return index, self._decoded[index]
            if index not in self.bad:
                try:
                    with self.reading.of(index):
                        data = self._source.read(index)
                        image = decode_image(data, self._least_side)
                    self._keep_decoded(index, image)
                    return index, image
                except (BadImageError, OSError) as error:
                    self.bad.note(index, error)
            index = next(others)

    def _keep_decoded(self, index: int, image: Image.Image) -> None:
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        size = 4 * image.width * image.height * workers  # PIL pads RGB to four bytes
        if size <= self._room:
            self._room -= size
            self._decoded[index] = image


def unlabeled_in(dataset: Dataset | None) -> UnlabeledImages | None:
    """Find the unlabeled images that a data set is, or wraps.

    Args:
        dataset: Any data set.

    Returns:
        The images, None if there are none.
    """
    while dataset is not None and not isinstance(dataset, UnlabeledImages):
        dataset = getattr(dataset, 'dataset', getattr(dataset, '_images', None))
    return dataset


class Reading:
    """A note of each loader worker in shared memory: its process, and an image."""

    def __init__(self) -> None:
        self._notes = torch.full((_MOST_WORKERS, 2), -1).share_memory_()

    @contextmanager
    def of(self, index: int) -> Iterator[None]:
        """Note that this worker is at an image, until it is done or dies.

        Args:
            index: Number of the image.
        """
        worker = get_worker_info()
        if worker is None:
            yield
            return
        note = self._notes.numpy()[worker.id]
        note[:] = os.getpid(), index
        try:
            yield
        finally:
            note[1] = -1

    def now(self) -> dict[int, int]:
        """Give the image that each worker is at, or was at when it died, by process."""
        return {pid: index for pid, index in self._notes.tolist() if index >= 0}
