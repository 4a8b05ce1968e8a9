"""Published code that the user has cloned, as rows; see ``peers.py``."""

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from benchmarks.flops import FLOPS
from benchmarks.inputs import Feed
from benchmarks.ours import OurMethod
from benchmarks.peers import Peer
from benchmarks.precision import autocast, matmul_precision
from benchmarks.rows import Contender, Label, training_state
from benchmarks.shims import importing, running


class Code(NamedTuple):
    """A peer's imported modules."""

    peer: Peer
    folder: Path
    models: ModuleType
    engine: ModuleType | None


def import_code(peer: Peer, folder: Path) -> Code:
    """Import the modules of a clone.

    Raises:
        ImportError: If a module is missing, needs what is not installed, or fails.
    """
    folder = folder.resolve()
    with importing(folder), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            models = importlib.import_module(peer.module)
            engine = importlib.import_module(peer.engine) if peer.engine else None
        except ImportError:
            raise
        except Exception as error:  # of whatever does not fit the versions here
            raise ImportError(f'{type(error).__name__}: {error}') from error
    return Code(peer, folder, models, engine)


def build_network(code: Code, cfg: ConfigDict) -> nn.Module:
    """Build a peer's network in the shape of our method's config, on the CPU."""
    with running('cpu'):
        return code.peer.build(code.models, cfg)


class PublishedMethod:
    """A peer's network with its optimizer, shared by the rows that differ in less.

    Args:
        code: The peer's modules.
        ours: Our method of the same shape, which defines it.
    """

    def __init__(self, code: Code, ours: OurMethod) -> None:
        self.code, self.ours, self.device = code, ours, ours.device
        torch.manual_seed(0)
        self.model = build_network(code, ours.cfg.model).to(self.device).train()
        optimizer = ours.cfg.optim_wrapper.optimizer
        decayed = [p for p in self.model.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.model.parameters() if p.requires_grad and p.ndim < 2]
        groups = [
            dict(params=others, weight_decay=0.0),
            dict(params=decayed, weight_decay=optimizer.weight_decay),
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=optimizer.lr, betas=tuple(optimizer.betas)
        )
        self._scaler: Any = None
        self.flops = FLOPS.get((code.peer.method, ours.size)) if ours.flops else None

    def row(self, level: str, precision: str, batch_size: int, feed: Feed) -> Contender:
        """Describe one row: the bare step, or at 'trainer' the clone's own loop.

        The loop sets its precision itself ('shipped'): fp32 in ccMIM, fp16 on a GPU and
        fp32 on a CPU in MAE.
        """

        def loss(images: Tensor) -> Tensor:
            with running(self.device.type), autocast(precision, self.device.type):
                return self._loss(images)

        def train(batches: Iterator[Tensor]) -> None:
            with running(self.device.type), matmul_precision(precision):
                if level == 'step':
                    self._train_bare(batches, precision)
                else:
                    self._train(batches)

        size, method = self.ours.size, self.code.peer.method
        return Contender(
            Label(level, size, batch_size, self.code.peer.code, method, precision),
            train,
            feed,
            loss if level == 'step' else None,
            self.flops,
            lambda: training_state(self.model, self.optimizer),
        )

    def _loss(self, images: Tensor) -> Tensor:
        return self.code.peer.loss(self.model, self.ours.normalize(images))

    def _train_bare(self, batches: Iterator[Tensor], precision: str) -> None:
        for images in batches:
            with autocast(precision, self.device.type):
                loss = self._loss(images)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def _train(self, batches: Iterator[Tensor]) -> None:
        # The loop asks for a length and prints; neither concerns what is timed.
        stream = _Loader((self.ours.normalize(images), 0) for images in batches)
        misc = self.code.engine.misc
        arguments = SimpleNamespace(
            accum_iter=1, mask_ratio=0.75, epochs=800, warmup_epochs=40, min_lr=0.0,
            lr=self.optimizer.defaults['lr'],
        )  # fmt: skip
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            # Once an epoch, and on a GPU only.
            misc.MetricLogger.synchronize_between_processes = lambda _: None
            # Kept over the rounds, as a new one skips updates until its scale fits.
            self._scaler = self._scaler or misc.NativeScalerWithGradNormCount()
            self.code.engine.train_one_epoch(
                self.model, stream, self.optimizer, self.device, 0, self._scaler,
                args=arguments,
            )  # fmt: skip


class _Loader:
    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return self._batches

    def __len__(self) -> int:
        return 1000
