"""What is to be measured, checked before anything is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.options import NUM_SIZES

METHODS, SIZES = ('ccmim', 'mae', 'hpm'), ('s', 'b', 'l', 'h')
PRECISIONS = ('fp32', 'tf32', 'bf16')
LEVELS = ('step', 'trainer', 'files')


@dataclass
class Plan:
    """The choices of the command line; what is None is chosen for the device.

    Attributes:
        methods: Of ``METHODS``.
        sizes: Of ``SIZES``.
        precisions: Of ``PRECISIONS``; all that the device has when None.
        batch_sizes: Images a step; 256 on a GPU, 8 on a CPU when None.
        options: Of ``options.OPTIONS``, each a further row of ccMIM.
        levels: Of ``LEVELS``.
        images: Image folder that the level 'files' reads.
        workers: Processes of the data loader.
        peers: Folder of clones.
        rounds: Rounds.
        steps: Steps of a row in a round; 21 on a GPU, 3 on a CPU when None.
        warmup: Steps of a row before the rounds; 10 on a GPU, 1 on a CPU when None.
        aa: Whether the first reference is measured twice.
        out: Folder to write to.
        cfg_options: Changes of our configs by dotted key.

    Raises:
        ValueError: If something is out of range or does not fit together.
    """

    methods: Sequence[str] = METHODS[:2]
    sizes: Sequence[str] = ('b',)
    precisions: Sequence[str] | None = None
    batch_sizes: Sequence[int] | None = None
    options: Sequence[str] = ()
    levels: Sequence[str] = ('step',)
    images: str | None = None
    workers: int | None = None
    peers: Path | None = None
    rounds: int = 5
    steps: int | None = None
    warmup: int | None = None
    aa: bool = False
    out: Path | None = None
    cfg_options: Mapping[str, Any] | None = None
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        """Fill in what depends on the device, and check."""
        on_cuda = torch.cuda.is_available()
        self.device = torch.device('cuda' if on_cuda else 'cpu')
        if self.precisions is None:
            self.precisions = PRECISIONS if on_cuda else ('fp32', 'bf16')
        if self.batch_sizes is None:
            self.batch_sizes = (256,) if on_cuda else (8,)
        self.steps = (21 if on_cuda else 3) if self.steps is None else self.steps
        self.warmup = (10 if on_cuda else 1) if self.warmup is None else self.warmup
        for name in ('rounds', 'steps', 'warmup'):
            if getattr(self, name) < 1:
                raise ValueError(f'--{name} must be at least 1')
        if 'progressive' in self.options and self.steps % NUM_SIZES:
            raise ValueError(
                f'--steps must be a multiple of {NUM_SIZES} with the option '
                'progressive, which has as many sizes'
            )
        if self.workers is not None and self.workers < 0:
            raise ValueError('--workers must be at least 0')
        least = 2 if 'ccmim' in self.methods or self.options else 1
        if min(self.batch_sizes) < least:
            why = ': ccMIM contrasts images' if least > 1 else ''
            raise ValueError(f'--batch-sizes must be at least {least}{why}')
        if 'tf32' in self.precisions and not on_cuda:
            raise ValueError('tf32 needs a GPU: leave it out of --precisions')
        if ('files' in self.levels) != (self.images is not None):
            raise ValueError(
                '--levels files and --images DIR belong together: add the other'
            )
        if self.images and not Path(self.images).exists():
            raise ValueError(f'--images {self.images} does not exist: name a folder')
        if self.peers and not self.peers.is_dir():
            raise ValueError(
                f'--peers {self.peers} is no folder: clone the published code into it'
            )
        if self.out and self.out.exists() and not self.out.is_dir():
            raise ValueError(f'--out {self.out} is a file: name a folder')

    @property
    def rows_of_ours(self) -> list[str]:
        """Our methods and their options, in the order of the table."""
        extra = [f'ccmim {option}' for option in self.options]
        return [*self.methods, *extra]
