"""Save and replay steps with NaN or infinite values.

A file ``WORK_DIR/debug/nan_STEP.pt`` holds what a step was computed from. To look:

    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = MODELS.build(cfg.model)
    losses = replay_step(model, 'WORK_DIR/debug/nan_812.pt')
"""

import io
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.logging import MessageHub
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils.data import Dataset

from ccmim.checkpoints import load_file
from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.data.paths import RUN_DEBUG
from ccmim.data.samplers import VisitSampler
from ccmim.data.unlabeled import unlabeled_in
from ccmim.engine.resume.step_seed import seed_step
from ccmim.masking import stored_scorer


def images_of(batch: Any) -> Tensor | list[str]:
    """Record the images of a batch compactly: their indices or their paths."""
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    if isinstance(samples, Tensor):
        return samples
    return [sample.get('img_path', '?') for sample in samples or ()]


def image_names(dataset: Dataset, images: Tensor | list[str]) -> list[str]:
    """Name the images that ``images_of`` noted; none if there are no names."""
    if isinstance(images, list):
        return images
    known = unlabeled_in(dataset)
    return [known.name(i) for i in images.tolist()] if known else []


def save_step(
    runner: Runner,
    step: int,
    images: Tensor | list[str],
    terms: dict[str, float],
    with_weights: bool,
) -> Path:
    """Save a step of this epoch.

    Args:
        runner: The run; its weights are those that the step began with.
        step: Number of the step, from 1.
        images: What ``images_of`` noted.
        terms: Losses of the step and norm of its gradients.
        with_weights: Whether to save the weights, without which it cannot be replayed;
            those of a sharded model are not.

    Returns:
        Path of the file, which ``torch.load(..., weights_only=True)`` reads.

    Raises:
        WriteError: If the disk is full.
    """
    rank = get_rank()
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    loader = runner.train_dataloader
    content: dict[str, Any] = dict(
        step=step,
        epoch=runner.epoch,
        rank=rank,
        seed=runner.seed,
        dtype=str(getattr(runner.optim_wrapper, 'dtype', torch.float32)).split('.')[1],
        images=image_names(loader.dataset, images),
        terms=terms,
        # What masks that change in the course of a run go by.
        progress=dict(
            epoch=runner.epoch,
            max_epochs=runner.max_epochs,
            iter=step - 1,
            max_iters=runner.max_iters,
        ),
    )
    whole = getattr(loader.batch_sampler, 'whole', None)
    if whole and isinstance(loader.sampler, VisitSampler):
        # What a sample becomes is a function of its key, so it need not be kept.
        keys = next(islice(whole(), step - 1 - runner.epoch * len(loader), None))
        content['batch'] = loader.collate_fn([loader.dataset[key] for key in keys])
    weights = model.state_dict()
    # One process cannot put together what several have parts of.
    if with_weights and not any(isinstance(v, DTensor) for v in weights.values()):
        content['state_dict'] = {k: v.cpu() for k, v in weights.items()}
    suffix = f'_rank{rank}' if get_world_size() > 1 else ''
    path = Path(runner.work_dir) / RUN_DEBUG / f'nan_{step}{suffix}.pt'
    buffer = io.BytesIO()
    torch.save(content, buffer)
    AtomicLocalBackend().put(buffer.getvalue(), path)
    return path


def replay_step(model: BaseModel, file: str | Path) -> dict[str, Tensor]:
    """Compute a saved step again: same weights, images, random numbers and precision.

    An EMA teacher has been updated once more since.

    Args:
        model: Built from the config of the run, on any device; takes up the weights.
        file: Written by ``save_step`` with the weights.

    Returns:
        The losses, with gradients; those of one process alone.

    Raises:
        ValueError: If the file holds no images or no weights.
    """
    saved = load_file(file)
    if not {'batch', 'state_dict'} <= saved.keys():
        raise ValueError(
            f'{file} names a step, but holds no images or weights. Resume from the '
            'checkpoint before it with FiniteHook.max_skipped=0 to get those'
        )
    model.load_state_dict(saved['state_dict'])
    model.train()
    device = next(model.parameters()).device.type
    dtype = getattr(torch, saved['dtype'])
    for name, value in saved.get('progress', {}).items():
        MessageHub.get_current_instance().update_info(name, value)
    batch = dict(saved['batch'])
    if 'crop_box' in batch:  # which part of which picture it is, for stored scores
        stored_scorer(model).show(batch['data_samples'], batch.pop('crop_box'))
    seed_step(saved['seed'], saved['step'] - 1, saved['rank'])
    with torch.autocast(device, dtype, enabled=dtype != torch.float32):
        data = model.data_preprocessor(batch, True)
        return model(**data, mode='loss')
