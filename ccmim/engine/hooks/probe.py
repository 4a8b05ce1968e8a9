"""k-NN on the features of a run, every few epochs.

n images, D width.
"""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.dist import all_gather, get_dist_info, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import NotRequired, TypedDict

from ccmim.engine.signals.worker_signals import ignore_signals_in_workers
from ccmim.evaluation import extract_features, feature_rank, knn_accuracy
from ccmim.evaluation.knn import NEIGHBORS
from ccmim.ranges import Count, Part
from ccmim.registry import DATASETS, HOOKS


class Knn(TypedDict):
    """What k-NN needs: configs of ``LabeledImages``, and how many neighbors vote."""

    train: Part
    test: Part
    k: NotRequired[Count]
    batch_size: NotRequired[Count]


@HOOKS.register_module()
class ProbeHook(Hook):
    """Measure the rank of the features and, with labels, the accuracy of k-NN.

    At the end of every ``interval``-th epoch, without gradient, in evaluation mode and
    in the precision of the training; no random number of the training is drawn. The
    rank is that of the class tokens of the images trained on last. Values are logged as
    ``probe/feature_rank`` and ``probe/knn_accuracy`` (percent).

    Args:
        interval: Epochs from one time to the next.
        images: How many images the rank is measured on; it cannot exceed them. 512 when
            None, or a fiftieth of those trained on from one time to the next, so that
            it takes less than a fiftieth of the training's time; 16 at least.
        knn: ``train`` and ``test``, configs of ``LabeledImages``, and optionally
            ``k`` and ``batch_size``; None without labels.
    """

    priority = 'LOW'  # after the step's line of the log

    def __init__(
        self,
        interval: Count = 10,
        images: Count | None = None,
        knn: Knn | None = None,
    ) -> None:
        knn = dict(knn or {})
        self._interval = interval
        self._images = images
        self._knn = knn
        self._kept: list[Tensor] = []
        self._sets: list[Dataset] = []

    def before_train(self, runner: Runner) -> None:
        """Open the labeled images.

        Raises:
            FileNotFoundError: If there are none.
            ValueError: If the classes of the two sets differ.
        """
        if not self._knn:
            return
        self._sets = [DATASETS.build(self._knn[name]) for name in ('train', 'test')]
        train, test = (data.metainfo['classes'] for data in self._sets)
        if train != test:
            raise ValueError(
                f'knn.train has {len(train)} classes and knn.test {len(test)}, or '
                'their names differ: the probe needs the same'
            )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if runner.iter or not (model.backbone.init_cfg or {}).get('checkpoint'):
            return
        # Weights that the training damages show it from the first epoch on.
        with apart(runner):
            accuracy = self._accuracy(model, runner)
        if is_main_process():
            runner.logger.info(f'Probe before the first step: knn {accuracy:.2f}')
            runner.visualizer.add_scalars(
                {'probe/knn_accuracy': accuracy},
                step=0,
                file_path=f'{runner.timestamp}.json',
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Keep the last images before a probe."""
        every = self._interval * len(runner.train_dataloader)
        left = -(runner.iter + 1) % every  # steps after this one
        images = data_batch['inputs']
        seen = every * len(images) * get_world_size()
        wanted = self._images or min(_IMAGES, max(_LEAST, seen // _SHARE))
        missing = math.ceil(wanted / get_world_size()) - left * len(images)
        if missing > 0:
            self._kept.append(images[-missing:])

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Probe if it is time."""
        every = self._interval * len(runner.train_dataloader)
        if (runner.iter + 1) % every:
            return
        started = time.monotonic()
        with apart(runner):
            values = self._measure(runner)
        self._kept = []
        if values:
            seconds = time.monotonic() - started
            text = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
            runner.logger.info(f'Probe: {text} ({seconds:.1f} s)')
            runner.visualizer.add_scalars(
                {f'probe/{name}': value for name, value in values.items()},
                step=runner.iter + 1,
                file_path=f'{runner.timestamp}.json',
            )

    def _measure(self, runner: Runner) -> dict[str, float]:
        """The values; none but on the main process, which gets the features of all."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        # Of two views, one above the other, the first.
        batches = [images.chunk(model.num_views, dim=2)[0] for images in self._kept]
        kept, _ = _features(model, [_batch(images) for images in batches])
        kept = torch.cat(all_gather(kept))
        accuracy = self._accuracy(model, runner) if self._sets else None
        if not is_main_process():
            return {}
        values = dict(feature_rank=feature_rank(kept[-(self._images or _IMAGES) :]))
        if accuracy is not None:
            values['knn_accuracy'] = accuracy
        return values

    def _accuracy(self, model: Any, runner: Runner) -> float:
        """Of k-NN in percent; all processes compute features."""
        features = [self._all_features(model, runner, data) for data in self._sets]
        (train, train_labels), (test, test_labels) = features
        k = min(self._knn.get('k', NEIGHBORS), len(train))
        return knn_accuracy(train, train_labels, test, test_labels, k)

    def _all_features(
        self, model: Any, runner: Runner, data: Dataset
    ) -> tuple[Tensor, Tensor]:
        """Features and labels of a set, each process computing its share."""
        rank, world_size = get_dist_info()
        per_rank = math.ceil(len(data) / world_size)
        numbers = range(rank, per_rank * world_size, world_size)
        loader = DataLoader(
            data,
            self._knn.get('batch_size', 256),
            sampler=[number % len(data) for number in numbers],  # all have as many
            num_workers=runner.train_dataloader.num_workers,
            generator=torch.Generator(),  # leaves the training's alone
        )
        ignore_signals_in_workers(loader)
        mine = _features(model, loader)
        features, labels = (
            torch.stack(all_gather(part), dim=1).flatten(0, 1)[: len(data)]
            for part in mine
        )
        return features, labels


_IMAGES, _SHARE, _LEAST = 512, 50, 16


def _features(model: Any, batches: Any) -> tuple[Tensor, Tensor]:
    preprocess = model.data_preprocessor
    return extract_features(model.backbone, batches, preprocess, quiet=True)


def _batch(images: Tensor) -> dict[str, Tensor]:
    return dict(inputs=images, labels=torch.zeros(len(images), dtype=torch.long))


@contextmanager
def apart(runner: Runner) -> Iterator[None]:
    """Leave no trace in the training: its numbers and its compiled kernels."""
    # Compiled blocks would be compiled anew for the probe's shapes. From PyTorch 2.6
    # on; without compiled blocks the compiler, slow to import, is not there.
    stance = None
    if 'torch._dynamo' in sys.modules:
        stance = getattr(torch.compiler, 'set_stance', None)
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with (
        torch.random.fork_rng(gpus),
        stance('force_eager') if stance else nullcontext(),
        runner.optim_wrapper.optim_context(runner.model),
    ):
        yield
