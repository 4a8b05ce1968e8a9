"""What the configs of a transfer have in common: backbone, length, labels used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.quiet import no_messages
from ccmim.checkpoints import Architecture
from ccmim.checkpoints.normalization import Pixels
from ccmim.engine.config import read_config
from ccmim.labels.cut import is_test

_FAST_STEPS = 20
_GOLDEN = 0.6180339887498949


class Part(NamedTuple):
    """Which of the labels are used.

    Attributes:
        fraction: Of the training images that are used.
        fold: Number of the part that is kept for testing, where there is no split.
        folds: How many such parts there are; every fifth image is kept when 0.
    """

    fraction: float = 1.0
    fold: int = 0
    folds: int = 0

    def is_test(self, number: int) -> bool:
        """Return whether an image without a split is kept for testing."""
        return number % self.folds == self.fold if self.folds else is_test(number)

    def is_taken(self, number: int) -> bool:
        """Return whether a training image is used; a smaller fraction is in a larger.

        The multiples of the golden ratio are spread evenly, wherever they stop.
        """
        return number * _GOLDEN % 1 < self.fraction


class TaskSetting:
    """What the configs of a transfer have in common.

    Args:
        architecture: Of the backbone.
        out: Folder for configs and lists.
        fast: Whether some steps on some images will do.
        full: Whether to take the recipes of the papers.
        steps: Of fine-tuning; what the recipe says when None.
        image_size: Side at which k-NN and linear probe look; that of the weights, and
            no more than ``most_pixels``, when None.
        pixels: How the weights want images to be normalized; by ImageNet's when None.
    """

    def __init__(
        self,
        architecture: Architecture,
        out: Path,
        fast: bool = False,
        full: bool = False,
        steps: int | None = None,
        image_size: int | None = None,
        pixels: Pixels | None = None,
    ) -> None:
        self.head = ''  # of a dense task: 'eomt', else what is usual for the labels
        self.architecture, self.out = architecture, out
        self.side, self.pixels = image_size, pixels or Pixels()
        self.part = Part()
        self.base = ''  # of the config that was made last, in mm_configs
        self.notes: list[str] = []  # what was changed of the weights for it
        self.fast, self.full = fast, full
        self.steps = steps or (_FAST_STEPS if fast else None)

    def options(self) -> dict[str, Any]:
        """Describe the backbone, as a config does."""
        return dict(self.architecture.options())

    def is_reduced(self, loader: str) -> bool:
        """Return whether only a fraction of these labels is used."""
        return loader == 'train' and self.part.fraction < 1

    def keep(
        self, loader: str, is_split: bool, by_class: bool = False
    ) -> Callable[[int], bool]:
        """Return what decides by its number whether an image is used."""
        part = self.part._replace(fraction=1.0) if by_class else self.part
        if loader == 'val':
            return (lambda number: True) if is_split else part.is_test
        if is_split:
            return part.is_taken
        return lambda number: not part.is_test(number) and part.is_taken(number)

    def file(self, name: str) -> Path:
        """Return the path of a list of images."""
        folder = self.out / ('data_fast' if self.fast else 'data')
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def read(self, name: str, backbone: dict[str, Any] | None = None) -> Config:
        """Read a config of mm_configs, for a backbone."""
        self.base = str(home() / 'mm_configs' / f'{name}.py')
        with no_messages():  # of mmdet and mmseg, which it imports
            cfg = read_config(self.base, backbone=backbone, imports=False)
        cfg.model.data_preprocessor.update(self.pixels.as_lists())
        return cfg
