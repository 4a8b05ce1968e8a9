"""Monitor dense features during a run that starts from weights."""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from ccmim.data.transforms import ResizeCenterCrop, ToUint8Tensor
from ccmim.data.unlabeled import UnlabeledImages, unlabeled_in
from ccmim.engine.fully_shard import FullyShard
from ccmim.engine.hooks.checkpoint import SafeCheckpointHook
from ccmim.engine.hooks.probe import apart
from ccmim.evaluation.dense_features import DenseFeatures, compute_dense
from ccmim.evaluation.features import feature_rank
from ccmim.evaluation.judging import retrieve
from ccmim.evaluation.labeled_photos import LabeledPhotos, open_photos
from ccmim.evaluation.neighborhoods import agreement, patch_neighbors
from ccmim.evaluation.resampling import figure
from ccmim.evaluation.retrieval import NEIGHBORS
from ccmim.evaluation.samples import Likeness
from ccmim.labels.layouts import find_labels
from ccmim.ranges import Count, PositiveRatio
from ccmim.registry import HOOKS

KEY = 'feature_watch'  # in checkpoints
_RETRIEVAL, _AGREEMENT = 'patch_retrieval', 'patch_agreement'


@HOOKS.register_module()
class FeatureWatchHook(Hook):
    """Measure the dense features of a run that starts from weights.

    Before the first step and after every ``interval``-th epoch or step, on photos that
    stay the same, without gradient and without a random number of the training:
    ``probe/patch_agreement``, the percentage of the 10 nearest patches of other photos
    that are those of the start; ``probe/token_likeness``, the mean cosine between class
    tokens of photos; ``probe/token_rank``; with ``labels`` ``probe/patch_retrieval``,
    dense NN retrieval as of ``ccmim judge``, by which the best checkpoint is kept
    unless ``save_best`` of the checkpoints says otherwise. A value below that of the
    start is a warning. A run from random weights is left alone.

    Args:
        interval: Epochs from one time to the next, or steps.
        by_epoch: Whether it counts epochs; steps serve runs by iterations too.
        images: How many photos of the training set, or of each split of the labeled
            ones.
        labels: Folder of labeled photos with maps or masks, as ``ccmim judge`` takes
            it.
        least: Fraction of the value at the start below which it warns; 1 for
            retrieval and 0.5 for the agreement, which only falls, when None.
        stop: Whether the run ends there.
    """

    priority = 'LOW'  # before the checkpoint of the epoch

    def __init__(
        self,
        interval: Count = 10,
        by_epoch: bool = True,
        images: Count = 64,
        labels: str | None = None,
        least: PositiveRatio | None = None,
        stop: bool = False,
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.images = images
        self.labels = labels
        self.least = least
        self.stop = stop
        self._start: dict[str, Any] = {}  # values and neighbors; in checkpoints
        self._on = False
        self._labeled: LabeledPhotos | None = None
        self._key = _RETRIEVAL if labels else _AGREEMENT

    def before_run(self, runner: Runner) -> None:
        """Look at the labels, and have the best checkpoint kept.

        Raises:
            ValueError: If there are no epochs to count, no labels of pixels or too few
                of them, or the model is sharded.
        """
        model = _bare(runner)
        started = (getattr(model.backbone, 'init_cfg', None) or {}).get('checkpoint')
        self._on = bool(started or runner._load_from)
        if not self._on:
            return
        if isinstance(runner.model, FullyShard):  # it looks into single blocks
            if self.labels is not None:
                raise ValueError(
                    'feature_watch.labels cannot be had with FullyShard: leave one out'
                )
            self._on = False
            runner.logger.info('Features are not watched: the weights are sharded')
            return
        epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
        counts = epochs or not self.by_epoch
        if self.labels is None:  # as every config has it: it must stop no run
            images = unlabeled_in(runner.train_dataloader.dataset)
            self._on = counts and images is not None and len(images) > 1
            if not self._on:
                runner.logger.info(
                    'Features are not watched: that needs two unlabeled photos or '
                    'more, or feature_watch.labels, and epochs or by_epoch=False'
                )
            return
        if not counts:
            raise ValueError(
                'feature_watch.labels needs epochs, and train_cfg has iterations: set '
                'feature_watch.by_epoch=False, and an interval in steps'
            )
        self._labeled = self._open(model.backbone.grid)
        for hook in runner.hooks:
            if isinstance(hook, SafeCheckpointHook):
                hook.keep_best(f'probe/{_RETRIEVAL}')

    def _open(self, grid: tuple[int, int]) -> LabeledPhotos:
        photos = open_photos(find_labels(Path(str(self.labels))), self.images)
        key = f'feature_watch.labels={self.labels}'
        if not photos.has_maps:
            raise ValueError(f'{key} has no maps or masks: leave it out')
        if len(photos.classes) < 2:
            raise ValueError(
                f'{key} has one class only, {photos.classes[0]}: nothing can be told '
                'apart, leave it out'
            )
        patches = len(photos.train) * grid[0] * grid[1]
        if patches < NEIGHBORS:
            raise ValueError(
                f'{key} has {patches} patches to look up, fewer than the {NEIGHBORS} '
                'neighbors of one: give more photos'
            )
        return photos

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take over the start of the run that is resumed."""
        if runner._resume:
            self._start = checkpoint.get(KEY, {})

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Put the start into the checkpoint."""
        if self._on:
            checkpoint[KEY] = self._start

    def before_train(self, runner: Runner) -> None:
        """Measure the weights that the run starts from."""
        if self._on and not self._start:
            values = self._measure(runner)
            self._log(runner, values, runner.iter, 'Features at the start')

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure if it is time, keep what is best, warn of what is lost."""
        done = self.every_n_epochs(runner, self.interval)
        if self.by_epoch and (done or self.is_last_train_epoch(runner)):
            self._watch(runner, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Do the same after a step, if steps are counted."""
        done = self.every_n_train_iters(runner, self.interval)
        if not self.by_epoch and (done or self.is_last_train_iter(runner)):
            self._watch(runner, runner.iter + 1)

    def _watch(self, runner: Runner, step: int) -> None:
        if not self._on:
            return
        values = self._measure(runner)
        self._log(runner, values, step, 'Features')
        self._keep(runner, {f'probe/{name}': value for name, value in values.items()})
        now, start = values[self._key], self._start['values'][self._key]
        least = self.least or (1.0 if self.labels else 0.5)
        if now < least * start:
            more = ', and the run ends' if self.stop else ''
            # Without labels nobody knows whether they are better or worse.
            what = (
                'dense features are below the start'
                if self.labels
                else 'dense features are far from the start'
            )
            runner.logger.warning(
                f'{what}: {self._key} {now:.1f}, '
                f'{start:.1f} at the start{more}; an anchor keeps them '
                "(model.anchor.type='GramAnchor'), or a smaller rate of the backbone"
            )
            if self.stop:
                runner.train_loop.stop_training = True

    def _measure(self, runner: Runner) -> dict[str, float]:
        """Compute the values; every process computes all, and stops as the others."""
        model = _bare(runner)
        backbone = model.backbone
        size = tuple(side * backbone.patch_size for side in backbone.grid)

        def dense(photos: Any) -> DenseFeatures:
            return compute_dense(backbone, photos, size, _normalizer(model), True)

        device = next(backbone.parameters()).device.type
        # In float32, as `ccmim judge`: small differences count.
        with apart(runner), torch.autocast(device, enabled=False):
            if self._labeled is None:
                images = unlabeled_in(runner.train_dataloader.dataset)
                features = dense(_evenly(images, self.images))
            else:
                features = dense(self._labeled.test)
                train = dense(self._labeled.train)
        values = {}
        if self._labeled is not None:
            values[_RETRIEVAL] = figure(retrieve(self._labeled, train, features))
        neighbors = patch_neighbors(features.patches)
        if not self._start:
            self._start = dict(neighbors=neighbors)
        values[_AGREEMENT] = agreement(neighbors, self._start['neighbors'])
        values['token_likeness'] = figure(Likeness(features.photos.numpy()))
        values['token_rank'] = feature_rank(features.photos)
        self._start.setdefault('values', values)
        return values

    def _log(
        self, runner: Runner, values: dict[str, float], step: int, what: str
    ) -> None:
        if not is_main_process():
            return
        text = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
        runner.logger.info(f'{what}: {text}')
        runner.visualizer.add_scalars(
            {f'probe/{name}': value for name, value in values.items()},
            step=step,
            file_path=f'{runner.timestamp}.json',
        )

    def _keep(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Offer the values to hooks that keep the best checkpoint, as a validation."""
        loop: Any = runner.train_loop
        count = '_epoch' if self.by_epoch else '_iter'
        # As it is when a validation follows.
        setattr(loop, count, getattr(loop, count) + 1)
        try:
            for hook in runner.hooks:
                if isinstance(hook, SafeCheckpointHook) and hook.wants(metrics):
                    hook.after_val_epoch(runner, metrics)
        finally:
            setattr(loop, count, getattr(loop, count) - 1)


class _TrainingPhoto:
    """A training photo as ``compute_dense`` reads it."""

    def __init__(self, images: UnlabeledImages, index: int) -> None:
        self.images, self.index = images, index

    def pixels(self, size: tuple[int, int]) -> Tensor:
        picture = self.images.picture(self.index)
        return ToUint8Tensor()(ResizeCenterCrop(list(size))(picture))


def _evenly(images: UnlabeledImages, count: int) -> list[_TrainingPhoto]:
    numbers = torch.linspace(0, len(images) - 1, min(count, len(images))).round()
    return [_TrainingPhoto(images, int(number)) for number in numbers]


def _normalizer(model: Any) -> Any:
    return lambda x: model.data_preprocessor(dict(inputs=x), False)['inputs']


def _bare(runner: Runner) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
