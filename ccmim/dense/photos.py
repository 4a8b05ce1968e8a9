"""mmcv's image loading, for files that it reads wrongly or not at all.

Imports mmcv, so the package does not import it.
"""

from typing import Any

import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile

from ccmim.data.bad_images import BadPhotoError
from ccmim.data.image import BadImageError, decode_image
from ccmim.registry import TRANSFORMS

_TIFF = (b'II*\0', b'MM\0*')
_PNG, _DEPTH = b'\x89PNG', 24  # where a PNG says how many bits a value has


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """Load a photo as mmcv does; TIFFs and 16 bits as pretraining does.

    OpenCV makes floats black and takes the upper byte of 16 bits, whatever white is.
    What it cannot read is read as in pretraining too, if that is possible.

    Args:
        kwargs: As of mmcv's ``LoadImageFromFile``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Load the photo.

        Raises:
            BadPhotoError: It is damaged, or gone.
        """
        if self.file_client_args is not None:
            return super().transform(results)
        path = results['img_path']
        try:
            image = self._read(fileio.get(path, backend_args=self.backend_args))
        except (OSError, BadImageError) as error:
            if self.ignore_empty:
                return None
            raise BadPhotoError.of(path, error) from None
        image = image.astype(np.float32) if self.to_float32 else image
        size = image.shape[:2]
        return results | dict(img=image, img_shape=size, ori_shape=size)

    def _read(self, data: bytes) -> np.ndarray:
        deep = data.startswith(_PNG) and data[_DEPTH : _DEPTH + 1] == b'\x10'
        if self.color_type == 'color' and (deep or data.startswith(_TIFF)):
            return _decoded(data)
        try:
            image = mmcv.imfrombytes(
                data, self.color_type, backend=self.imdecode_backend
            )
        except Exception:  # OpenCV's own
            image = None
        return _decoded(data) if image is None else image


def _decoded(data: bytes) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(decode_image(data))[..., ::-1])  # blue first
