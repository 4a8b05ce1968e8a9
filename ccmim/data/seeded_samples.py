"""Any dataset, with transforms seeded by (seed, visit, sample), without bad photos."""

from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset

from ccmim.data.bad_images import BadPhotoError, BadPhotos
from ccmim.data.randomness import SampleKey, replacements, seeded
from ccmim.data.unlabeled import unlabeled_in
from ccmim.registry import DATASETS

_SAMPLERS = {'InfiniteSampler': 'ccmim.InfiniteVisitSampler'}
_SAMPLERS['DefaultSampler'] = 'ccmim.VisitSampler'


@DATASETS.register_module()
class SeededSamples(Dataset):
    """Draw all that a data set draws for a sample from the sample's key.

    mmdet's and mmseg's transforms take their numbers from global generators, whose
    state no checkpoint holds: a resumed run augmented otherwise than one that was left
    alone, and with another number of workers too. Here the generators are a function of
    the key; also for what replaces an image that a filter takes out.

    A damaged photo is named once in the log, listed where ``ccmim.BadFilesHook`` is,
    and replaced by another one, chosen by the key, as in ``UnlabeledImages``.

    Args:
        dataset: Config of the data set, or the data set.

    Attributes:
        bad: What is known of the photos that cannot be used.
        excluded: Photos that are left out from the start: none.
    """

    excluded: Mapping[str, str] = {}

    def __init__(self, dataset: Mapping[str, Any] | Dataset) -> None:
        self.dataset: Any = (
            DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        )
        self.bad = BadPhotos(len(self.dataset))

    def __getitem__(self, key: SampleKey | int) -> Any:
        """Return a sample; what is drawn for it follows from the key."""
        if not isinstance(key, tuple):
            return self.dataset[key]
        if unlabeled_in(self.dataset) is not None:  # does so by itself
            return self.dataset[key]
        key = SampleKey(*key)
        index, others = key.index, replacements(key, len(self))
        while True:
            try:
                with seeded(key):
                    return self.dataset[index]
            except BadPhotoError as error:
                self.bad.add(error.path, error.reason)
            index = next(others)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.dataset)

    def get_data_info(self, key: SampleKey | int) -> Any:
        """Return what is known of a sample, for samplers that group by shape."""
        return self.dataset.get_data_info(key[2] if isinstance(key, tuple) else key)

    def __getattr__(self, name: str) -> Any:
        """Forward all other attributes to the data set."""
        if name == 'dataset':  # not set yet, as in a copy
            raise AttributeError(name)
        return getattr(self.dataset, name)


def seed_samples(loader: Any) -> Any:
    """Let a data loader of mmengine's samplers draw by (seed, visit, sample).

    Args:
        loader: Config of the loader for training, or the loader.

    Returns:
        A config with our samplers; what has another sampler is returned as it is.
    """
    if not isinstance(loader, Mapping) or not loader.get('sampler'):
        return loader
    sampler = loader['sampler']
    kind = str(sampler.get('type')).removeprefix('mmengine.')
    if kind not in _SAMPLERS:
        return loader
    dataset = loader['dataset']
    return dict(
        loader,
        sampler=dict(sampler, type=_SAMPLERS[kind]),
        dataset=dict(type='ccmim.SeededSamples', dataset=dataset),
    )
