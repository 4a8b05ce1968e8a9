"""Features of a frozen teacher, kept in files from one epoch to the next.

B batch, N patches of the student, C channels of the teacher, H W image.
"""

import json
import logging
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch import Tensor, nn

from ccmim.checkpoints.normalization import MEAN, STD
from ccmim.checkpoints.sources import digest
from ccmim.files import PART, WriteError
from ccmim.ranges import Channels, HeightWidth, Part, Positive, Spreads
from ccmim.registry import MODELS, build_part

_THREADS = 8  # that hash and read: one hashes about 1 GB/s


@MODELS.register_module()
class CachedTeacher(nn.Module):
    """Compute features of each image once, and read them from a file from then on.

    A file is named by a digest of the image's pixels, the teacher's config and weights,
    and the precision of the pass. So it serves the same photo in the same crop, mirror
    image and size alone, whichever process or run wrote it, and a resumed run finds all
    of them. A batch of which one is missing is computed as a whole: in half precision
    the features of a part of it would differ in the last bits.

    Args:
        teacher: Config of the teacher, such as ``ViTTeacher``.
        folder: Where the files are; made if it is missing. Processes may share it.
        grid: Rows and columns of the student's patches.
        dtype: As what features are kept; as they come when None, so that losses are
            those without this cache, to the bit. 'float16' takes half of the space.
        gigabytes: Size at which the folder is full: further features are computed each
            time.
        mean: What the data preprocessor subtracts, by channel, in 0..255.
        std: What it divides by, by channel.

    Raises:
        WriteError: If a file cannot be written.
    """

    def __init__(
        self,
        teacher: Part,
        folder: str | os.PathLike,
        grid: HeightWidth = (14, 14),
        dtype: Literal['float16', 'bfloat16'] | None = None,
        gigabytes: Positive = 20.0,
        mean: Channels = MEAN,
        std: Spreads = STD,
    ) -> None:
        super().__init__()
        self.teacher: Any = build_part(teacher, grid=grid, mean=mean, std=std)
        self.out_dim, self.has_weights = self.teacher.out_dim, self.teacher.has_weights
        self.folder = Path(folder).expanduser()
        self.dtype = getattr(torch, dtype) if dtype else None
        self.most = gigabytes * 1e9
        whole = dict(teacher, pixels=[list(mean), list(std)])
        self._config = json.dumps(whole, sort_keys=True, default=str)
        self._weights = ''
        self._size: int | None = None
        self._asked = self._found = 0

    def init_weights(self) -> None:
        """Refuse to train from a teacher that knows nothing."""
        self.teacher.init_weights()

    @torch.no_grad()
    @torch.compiler.disable
    def forward(self, images: Tensor) -> Tensor:
        """Give features (B, N, C) of normalized images (B, 3, H, W), row by row."""
        start = self._start(images)
        with ThreadPoolExecutor(_THREADS) as pool:
            files = list(pool.map(lambda one: self._file(start, one), images.cpu()))
            kept = list(pool.map(self._read, files))
        known = [features for features in kept if features is not None]
        self._asked += len(files)
        self._found += len(known)
        if len(known) == len(files):
            if self.dtype is not None:  # autocast cannot stack halves of both kinds
                known = [features.float() for features in known]
            return torch.stack(known).to(images.device)
        features = self.teacher(images)
        if self.dtype is not None:
            features = features.to(self.dtype)
        for file, own, one in zip(files, kept, features, strict=True):
            if own is None:
                self._write(file, one)
        return features if self.dtype is None else features.float()

    def _start(self, images: Tensor) -> bytes:
        """Say all but the pixels that features depend on."""
        if not self._weights:
            self._weights = digest(self.teacher.frozen.network.state_dict())
        kind = images.device.type
        precision = images.dtype
        if torch.is_autocast_enabled(kind):
            precision = torch.get_autocast_dtype(kind)
        key = self._config, self._weights, kind, precision, self.dtype
        return f'{key} {tuple(images.shape[1:])}'.encode()

    def _file(self, start: bytes, image: Tensor) -> Path:
        name = blake2b(start, digest_size=20)
        name.update(image.contiguous().view(torch.uint8).numpy().data)
        return self.folder / name.hexdigest()

    def _read(self, file: Path) -> Tensor | None:
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        if zlib.crc32(content[4:]) != int.from_bytes(content[:4], 'big'):
            return None  # cut short by a crash
        return safetensors.torch.load(content[4:])['features']

    def _write(self, file: Path, features: Tensor) -> None:
        """Write a file while there is room, without waiting for the disk."""
        if self._size is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            files = [one for one in os.scandir(self.folder) if PART not in one.name]
            self._size = sum(one.stat().st_size for one in files)
        if self._size >= self.most:
            return
        tensors = dict(features=features.cpu().contiguous())
        content = safetensors.torch.save(tensors)
        part = file.with_name(f'{file.name}.{os.getpid()}{PART}')
        try:
            part.write_bytes(zlib.crc32(content).to_bytes(4, 'big') + content)
            os.replace(part, file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise WriteError(
                f'cannot keep features of the teacher in {self.folder}: '
                f'{error.strerror}; take a smaller model.teacher.gigabytes, or '
                'another folder'
            ) from None
        self._size += len(content) * get_world_size()
        if self._size >= self.most:
            print_log(
                f'{self.folder} is full ({self.most / 1e9:g} GB, '
                f'model.teacher.gigabytes): of {self._asked} images {self._found} were '
                'found in it so far; features of further ones are computed each time',
                'current',
                logging.WARNING,
            )
