"""Images with the class of each pixel, as a segmentor sees them in tests."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm


def labeled_maps(
    data: Dataset, preprocess: Callable[..., dict[str, Any]], limit: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images one by one, normalized, with the class of each pixel.

    Args:
        data: Of mmsegmentation, with a pipeline for tests: what it draws at random is
            not repeatable.
        preprocess: The segmentor's preprocessor.
        limit: At most so many images, evenly from the whole set; all when None.

    Yields:
        Image (1, 3, H, W) and classes (1, H, W), where the ignored are 255. Maps that
        the pipeline did not resize with their image are resized here.
    """
    count = min(len(data), limit or len(data))
    numbers = np.linspace(0, len(data) - 1, count).round().astype(int)
    for number in tqdm(numbers, 'patches', unit=' images', disable=None):
        sample = data[int(number)]
        batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
        batch = preprocess(batch, False)
        maps = batch['data_samples'][0].gt_sem_seg.data[None].float()
        maps = F.interpolate(maps, batch['inputs'].shape[-2:], mode='nearest-exact')
        yield batch['inputs'], maps[:, 0].long()
