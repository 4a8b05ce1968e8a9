"""Refresh the stored scores of all training images every few epochs."""

import time
from typing import Any

import torch
from mmengine.dist import all_reduce, get_dist_info
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ccmim.data import ImagesWithCropBox
from ccmim.engine.resume.data_record import fingerprint, image_list
from ccmim.engine.resume.hook import KEY
from ccmim.engine.signals.worker_signals import ignore_signals_in_workers
from ccmim.masking import stored_scorer
from ccmim.ranges import Count, Moment, PositiveRatio, in_epochs
from ccmim.registry import HOOKS


@HOOKS.register_module()
class ScoreRefreshHook(Hook):
    """Fill a method's ``StoredScorer``, and pass it the indices of each step's images.

    At the beginning of epochs ``begin``, ``begin + interval``, ... each process scores
    its fraction of the whole pictures, without gradient, in evaluation mode and in the
    precision of the training, and all get the maps of all. A resumed run has them from
    its checkpoint, so it refreshes only where an uninterrupted run would; the maps of
    other images ('data' in ``resume_changed``) are dropped, and made anew at once.

    Args:
        begin: Epochs before the first time, or their fraction of the run.
        interval: Epochs from one time to the next, or their fraction of the run.
    """

    def __init__(
        self, begin: Moment = 40, interval: Count | PositiveRatio = 40
    ) -> None:
        self.begin = begin
        self.interval = interval

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Drop maps of other images than those that the run continues with."""
        saved = checkpoint['meta'].get(KEY) if runner._resume else None
        if not saved:
            return
        names = image_list(runner.train_dataloader.dataset)
        if saved['names'] != fingerprint(names):
            kept = stored_scorer(runner.model)
            names = [n for n, part in _bare(runner).named_modules() if part is kept]
            for name in names:
                for buffer in ('maps', 'scales'):
                    checkpoint['state_dict'][f'{name}.{buffer}'].zero_()

    def before_train(self, runner: Runner) -> None:
        """Make room for the maps, unless a checkpoint brought them.

        Raises:
            ValueError: If method, data or loop have the wrong type.
        """
        data, scorer = runner.train_dataloader.dataset, stored_scorer(runner.model)
        if scorer is None:
            raise ValueError(
                f"ScoreRefreshHook needs a type='StoredScorer' in model, and no part "
                f'of {type(_bare(runner)).__name__} is one: leave the hook out, or set '
                'model.scorer'
            )
        for part, wanted, name in (
            (data, ImagesWithCropBox, 'train_dataloader.dataset'),
            (runner.train_loop, EpochBasedTrainLoop, 'train_cfg'),
        ):
            if not isinstance(part, wanted):
                raise ValueError(
                    f'ScoreRefreshHook needs type={wanted.__name__!r} in {name}, '
                    f'which is a {type(part).__name__}'
                )
        scorer.hold(len(data))

    def before_train_epoch(self, runner: Runner) -> None:
        """Score all pictures if it is time."""
        since = runner.epoch - in_epochs(self.begin, runner.max_epochs)
        interval = max(1, in_epochs(self.interval, runner.max_epochs))
        first_step = runner.epoch * len(runner.train_dataloader)
        due = since % interval == 0 or not stored_scorer(runner.model).filled
        if since >= 0 and due and runner.iter == first_step:
            started = time.monotonic()
            self._refresh(runner)
            seconds = time.monotonic() - started
            runner.logger.info(f'Scored the training images in {seconds:.1f} s')

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Pass on which parts of which pictures the step is about to see."""
        boxes = data_batch.pop('crop_box')  # a method takes images alone
        stored_scorer(runner.model).show(data_batch['data_samples'], boxes)

    @torch.no_grad()
    def _refresh(self, runner: Runner) -> None:
        model = _bare(runner)
        scorer = stored_scorer(model)
        maps, scales = torch.zeros_like(scorer.maps), torch.zeros_like(scorer.scales)
        model.eval()
        for batch in _part_of_rank(runner.train_dataloader, scorer.img_size):
            index = batch['data_samples'].to(maps.device)
            images = model.data_preprocessor(batch)['inputs']
            with runner.optim_wrapper.optim_context(runner.model):
                maps[index], scales[index] = scorer.measure(model.backbone, images)
        model.train()
        for mine in (maps, scales):
            all_reduce(mine, 'max')  # what other processes scored is 0 here
        scorer.store(maps, scales)


def _part_of_rank(loader: DataLoader, size: tuple[int, int]) -> DataLoader:
    data = loader.dataset.whole(size)
    rank, world_size = get_dist_info()
    part = DataLoader(
        data,
        loader.batch_size or 1,
        sampler=range(rank, len(data), world_size),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        generator=torch.Generator(),  # leaves the training's alone
    )
    ignore_signals_in_workers(part)
    return part


def _bare(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
