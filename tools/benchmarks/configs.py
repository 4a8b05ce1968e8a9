"""Training steps of any pretraining configs, timed beside each other."""

from collections.abc import Iterator, Mapping
from statistics import median

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor

from benchmarks.inputs import from_memory, noise_batches
from benchmarks.rows import Contender, Label, training_state
from benchmarks.timing import measure
from ccmim.evaluation.flops import replace_parts
from ccmim.masking import ConstantScorer, StoredScorer
from ccmim.registry import MODELS

_LEARNING_RATE = 1e-6  # random weights diverge at a real rate without warm-up


def step_costs(
    configs: Mapping[str, Config],
    batch_size: int,
    rounds: int,
    steps: int,
    device: torch.device,
) -> dict[str, float]:
    """Time what an image costs in a training step of each config.

    In rounds over all configs in turn, in float32, on noise. Weights are random, those
    of a teacher too; maps of scores, which some methods look up, are taken as constant,
    so that drawing them anew every few epochs is not counted.

    Args:
        configs: Pretraining configs by name.
        batch_size: Images a step; two at least where images are contrasted.
        rounds: Rounds over all configs.
        steps: Steps of a config in a round.
        device: Where they train.

    Returns:
        Seconds an image by name, the median over rounds: by the device's clock on a
        GPU, of CPU time on a CPU, which other programs do not lengthen.
    """
    rows = [_row(name, cfg, batch_size, device) for name, cfg in configs.items()]
    taken = measure(rows, rounds, steps, 1, device)
    clock = 'seconds' if device.type == 'cuda' else 'cpu_seconds'
    return {
        label.method: median(getattr(r, clock) for r in results) / steps / batch_size
        for label, results in taken.items()
        if results
    }


def _row(name: str, cfg: Config, batch_size: int, device: torch.device) -> Contender:
    cfg = Config(cfg.to_dict())
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('ccmim'):
        model = MODELS.build(cfg.model).to(device).train()
        replace_parts(model, StoredScorer, ConstantScorer)
        settings = cfg.optim_wrapper.to_dict()
        settings.update(dtype='float32', accumulative_counts=1)
        settings['optimizer']['lr'] = _LEARNING_RATE
        wrapper = build_optim_wrapper(model, settings)

    def train(batches: Iterator[Tensor]) -> None:
        for batch in batches:
            model.train_step(dict(inputs=batch), wrapper)

    label = Label('trainer', '', batch_size, 'ours', name, 'fp32')
    side = model.backbone.grid[0] * model.backbone.patch_size
    batches = noise_batches(batch_size, side, device, count=2)
    if model.num_views == 2:
        batches = [torch.cat([batch, batch.flip(3)], dim=2) for batch in batches]
    return Contender(
        label,
        train,
        from_memory(batches),
        state=lambda: training_state(model, wrapper.optimizer),
    )
