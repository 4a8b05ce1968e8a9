"""A dataset of images with captions."""

import os
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from torch.utils.data import Dataset

from ccmim.data import SampleKey, UnlabeledImages
from ccmim.data.paths import printable
from ccmim.data.randomness import generator_of
from ccmim.ranges import ArgsOf, Parts
from ccmim.registry import DATASETS
from ccmim.text.captions import TEMPLATES, class_sentences, read_captions

_EVERY = 10  # one of so many images is kept for testing


@DATASETS.register_module()
class CaptionedImages(Dataset):
    """Images and what is said of them.

    Reading, transforms, and what happens to damaged images are those of
    ``UnlabeledImages``; the caption is one of the image that is really shown, drawn by
    seed, visit and image.

    Args:
        data: Folder that the paths in ``captions`` start from. Without ``captions`` a
            folder with a folder for each class, or a list file, of which ``templates``
            are said.
        transform: Configs of transforms; the last must return a tensor.
        captions: COCO's captions (.json) or a table (.csv, .tsv, .txt), see
            ``ccmim.text.captions.read_captions``.
        templates: Sentences with ``{}`` where the name of the class stands.
        part: 'train' leaves out every tenth image, in the order of their paths, 'test'
            has these alone.
        kwargs: Other arguments of ``UnlabeledImages``.

    Raises:
        FileNotFoundError: A path does not exist.
        ValueError: There is no caption, or a template has no place for the class.
    """

    def __init__(
        self,
        data: str | os.PathLike,
        transform: Parts,
        captions: str | os.PathLike | None = None,
        templates: Annotated[Sequence[str], MinLen(1)] = TEMPLATES,
        part: Literal['all', 'train', 'test'] = 'all',
        **kwargs: Annotated[Any, ArgsOf(UnlabeledImages)],
    ) -> None:
        if not isinstance(data, str | os.PathLike):
            raise ValueError(
                f'data={data!r} must be one folder, or one list of classes'
            )
        if captions is None:
            try:
                texts = class_sentences(data, templates, kwargs.pop('root', None))
            except ValueError as error:
                raise ValueError(
                    f'{error}; or set train_dataloader.dataset.captions to a file of '
                    'captions'
                ) from error
        elif not os.path.isdir(os.path.expanduser(os.fspath(data))):
            raise FileNotFoundError(f'No such folder: {os.path.abspath(data)}')
        else:
            folder = os.path.expanduser(os.fspath(data))
            listed = read_captions(captions)
            texts = {os.path.join(folder, name): t for name, t in listed.items()}
        chosen = sorted(texts)
        if part != 'all':
            chosen = [
                path
                for i, path in enumerate(chosen)
                if (i % _EVERY == _EVERY - 1) == (part == 'test')
            ]
        if not chosen:
            raise ValueError(f"part={part!r} has no image: set part='all'")
        try:
            self._images = UnlabeledImages(chosen, transform, **kwargs)
        except FileNotFoundError:
            gone = [path for path in chosen if not os.path.lexists(path)]
            if captions is None or not gone:
                raise
            raise FileNotFoundError(
                f'{printable(os.fspath(captions))} names {printable(gone[0])}, which '
                f'does not exist ({len(gone)} of {len(chosen)} images): paths start '
                'at data'
            ) from None
        by_name = {printable(os.path.abspath(path)): texts[path] for path in chosen}
        every = range(len(self._images))
        self._captions = [by_name[self._images.name(i)] for i in every]

    def __len__(self) -> int:
        """Count the images, damaged ones too."""
        return len(self._images)

    @property
    def metainfo(self) -> dict:
        """The number of images."""
        return self._images.metainfo

    @property
    def captions(self) -> Sequence[Sequence[str]]:
        """All captions of each image."""
        return self._captions

    def name(self, index: int) -> str:
        """Name image ``index``."""
        return self._images.name(index)

    def __getitem__(self, key: SampleKey | int) -> dict:
        """Load one sample.

        Args:
            key: Key of the sample; a plain index stands for seed 0, visit 0.

        Returns:
            ``inputs``: the transformed image, uint8 (3, H, W) RGB. ``data_samples``:
            the index of the image that is in ``inputs``. ``captions``: one of its
            captions.
        """
        sample = self._images[key]
        key = SampleKey(*key) if isinstance(key, tuple) else SampleKey(0, 0, int(key))
        texts = self._captions[sample['data_samples']]
        drawn = int(generator_of(key).integers(len(texts)))
        return {**sample, 'captions': texts[drawn]}
