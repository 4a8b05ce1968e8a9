"""mmseg's reader of segmentation maps, for any bit depth and for colors.

Imports mmseg, so the package does not import it.
"""

from typing import Any

import mmengine.fileio as fileio
import numpy as np
from mmseg.datasets.transforms import LoadAnnotations

from ccmim.labels.maps import IGNORED, Values, read_map
from ccmim.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadLabelMap(LoadAnnotations):
    """Load a map of classes as the checks read it.

    mmseg's own cuts numbers to 8 bits, reads maps of 4 bits as others, and has no way
    to say that 255 is an object.

    Args:
        values: What numbers or colors in the file stand for, such as
            ``[(0, 0), (255, 1)]``; see ``ccmim.labels.maps.read_map``.
        kwargs: As of mmseg's ``LoadAnnotations``.
    """

    def __init__(self, values: Values | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = values

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        path = results['seg_map_path']
        data = fileio.get(path, backend_args=self.backend_args)
        numbers = read_map(data, self.values, str(path))
        if results.get('reduce_zero_label'):
            kept = (numbers != 0) & (numbers != IGNORED)
            numbers = np.where(kept, numbers - 1, IGNORED).astype(numbers.dtype)
        if results.get('label_map') is not None:
            mapped = numbers.copy()
            for old, new in results['label_map'].items():
                mapped[numbers == old] = new
            numbers = mapped
        results['gt_seg_map'] = numbers
        results['seg_fields'].append('gt_seg_map')
