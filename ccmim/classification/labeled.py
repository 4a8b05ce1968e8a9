"""A dataset of labeled images."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from torch.utils.data import Dataset

from ccmim.classification.labels import open_labels
from ccmim.classification.subset import listed_in, part_of_each_class
from ccmim.data import SampleKey, UnlabeledImages
from ccmim.data.paths import printable
from ccmim.ranges import ArgsOf, Index, Parts, PositiveRatio
from ccmim.registry import DATASETS


@DATASETS.register_module()
class LabeledImages(Dataset):
    """Images with classes: a folder for each class, or a list file.

    Reading, transforms, and what happens to damaged images are those of
    ``UnlabeledImages``; the label is that of the image that is really shown.

    Args:
        data: A folder with a folder for each class (ImageNet, CIFAR-10), or a list
            file (``.txt``) with lines ``PATH CLASS``.
        transform: Configs of transforms; the last must return a tensor.
        root: Folder that relative paths in a list start from; that of the list if None.
        classes: Names of the classes, by number; those of the data, sorted, when None.
        label_ratio: Fraction of each class that is used, in (0, 1].
        seed: Chooses the fraction.
        names: A file that names the images to be used, one a line, in place of a
            fraction.
        kwargs: Other arguments of ``UnlabeledImages``.

    Raises:
        FileNotFoundError: A path does not exist.
        ValueError: Some image has no known class, or there are two choices of images.
    """

    def __init__(
        self,
        data: str | os.PathLike,
        transform: Parts,
        root: str | os.PathLike | None = None,
        classes: Sequence[str] | None = None,
        label_ratio: PositiveRatio = 1.0,
        seed: Index = 0,
        names: str | os.PathLike | None = None,
        **kwargs: Annotated[Any, ArgsOf(UnlabeledImages)],
    ) -> None:
        if names is not None and label_ratio < 1:
            raise ValueError('give label_ratio or names, not both')
        labels = open_labels(data, root, classes)
        chosen = labels.data
        if names is not None or label_ratio < 1:
            # Chosen before they are opened, so that no other image stands in for one.
            paths = labels.paths()
            if names is not None:
                numbers = listed_in(paths, names)
            else:
                targets = [labels.of(printable(os.path.abspath(p))) for p in paths]
                numbers = part_of_each_class(targets, label_ratio, seed)
            chosen = [paths[i] for i in numbers]
        self._images = UnlabeledImages(chosen, transform, **kwargs)
        every = range(len(self._images))
        self._labels = np.array([labels.of(self._images.name(i)) for i in every])
        self._classes = labels.classes

    def __len__(self) -> int:
        """Count the images, damaged ones too."""
        return len(self._images)

    @property
    def metainfo(self) -> dict:
        """Names of the classes by number, and the number of images."""
        return dict(classes=self._classes, **self._images.metainfo)

    @property
    def labels(self) -> np.ndarray:
        """Class of each image, shape (len,)."""
        return self._labels

    def name(self, index: int) -> str:
        """Name image ``index``."""
        return self._images.name(index)

    def digest(self, index: int) -> bytes:
        """Digest the bytes of image ``index``; of nothing if it cannot be read."""
        return self._images.digest(index)

    def __getitem__(self, key: SampleKey | int) -> dict:
        """Load one sample.

        Args:
            key: Key of the sample; a plain index stands for seed 0, visit 0.

        Returns:
            ``inputs``: the transformed image, uint8 (3, H, W) RGB. ``data_samples``:
            the index of the image that is in ``inputs``. ``labels``: its class.
        """
        sample = self._images[key]
        return {**sample, 'labels': int(self._labels[sample['data_samples']])}
