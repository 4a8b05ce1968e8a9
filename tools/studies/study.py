"""The arms of the study in docs/study.md: what is run, and for how long."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mmengine.config import Config

from ccmim.apps.compare.comparison import Arm, Comparison
from ccmim.evaluation.flops import build_shapes, training_flops
from studies.budgets import Budget

EQUAL_COMPUTE = '_equal_compute'
ARMS = (
    *('random', 'mae', 'ccmim', 'ccmim_no_contrast', 'ccmim_random_mask'),
    *('ccmim_grad_both', 'ccmim_random_mask_grad_both', 'ccmim_attmask_grad_both'),
    *('ccmim_gumbel_t1', 'ccmim_gumbel_t03', 'ccmim_gumbel_t01'),
    *('ccmim_topk_hints', 'ccmim_easy_to_hard', 'ccmim_mask50', 'ccmim_mask60'),
    *('simmim', 'amt_mae', 'conmim', 'maskdistill'),
)
_LEAST = 2  # epochs: one to warm up and one to cool down
_NEAR = 0.2  # how far whole epochs may be from equal compute


def config_of(root: Path, arm: str, kind: str) -> Path | None:
    """Find the pretraining config of an arm.

    Args:
        root: The checkout.
        arm: One of ``ARMS``.
        kind: See ``Budget``.

    Returns:
        The config; None if there is none, as of random weights.
    """
    tail = '_cifar10' if kind == 'cifar10' else ''
    files = (
        root / f'mm_configs/study/{arm}_{kind}.py',
        root / f'mm_configs/small/{arm}_vitt{tail}.py',
    )
    return next((file for file in files if file.is_file()), None)


def known_arms(root: Path, budget: Budget) -> list[str]:
    """List the arms of a budget."""
    return [arm for arm in ARMS if arm == 'random' or config_of(root, arm, budget.kind)]


def study(
    root: Path,
    budget: Budget,
    arms: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    equal_compute: bool = False,
) -> Comparison:
    """Plan the study, or a part of it.

    Args:
        root: The checkout.
        budget: How much of it.
        arms: Some of ``ARMS``; differences are to the first.
        seeds: At least three for a claim.
        out: Folder of the runs.
        equal_compute: Whether each arm whose step costs more than MAE's is run with
            proportionally fewer epochs too, where whole epochs come near that.

    Raises:
        ValueError: If an arm is not known at this budget.
    """
    equal, shorter = [], []
    for name in arms:
        if name == 'random':
            equal.append(Arm(name))
            continue
        config = config_of(root, name, budget.kind)
        if name not in ARMS or config is None:
            known = ', '.join(known_arms(root, budget))
            raise ValueError(f'{name} is no arm of this budget, which are {known}')
        teacher = 'mae' if name == 'maskdistill' else ''
        options = schedule(config, budget.epochs)
        equal.append(Arm(name, str(config), options, teacher))
        if equal_compute and (epochs := equal_epochs(root, config, budget)):
            options = schedule(config, epochs)
            shorter.append(Arm(name + EQUAL_COMPUTE, str(config), options, teacher))
    return Comparison(
        arms=equal + shorter,
        tasks={k: str(root / 'mm_configs/small' / v) for k, v in budget.tasks.items()},
        seeds=seeds,
        out=out,
        pretrain_options=budget.pretrain_options,
        options=budget.options,
    )


def equal_epochs(root: Path, config: Path, budget: Budget) -> int:
    """Count the epochs of an arm that cost as much as the budget's epochs of MAE.

    Args:
        root: The checkout.
        config: Of the arm.
        budget: The budget.

    Returns:
        The epochs; 0 if they are no fewer, or too few for a schedule that is near.
    """
    ratio = cost(config) / cost(config_of(root, 'mae', budget.kind))
    epochs = max(_LEAST, round(budget.epochs / ratio))
    is_near = abs(epochs * ratio / budget.epochs - 1) <= _NEAR
    return epochs if is_near and epochs < budget.epochs else 0


@cache
def cost(config: Path) -> float:
    """Count the operations of a training step, an image, its teacher's included.

    What is done once in some epochs, as the scores of AMT, is left out.
    """
    model = build_shapes(Config.fromfile(config))
    height, width = (n * model.backbone.patch_size for n in model.backbone.grid)
    return training_flops(model, height, width)


def schedule(config: Path, epochs: int) -> tuple[str, ...]:
    """Give the changes for a length: a fifth of it warms up, the rest cools down.

    A config's own length leaves it as it is.
    """
    cfg = Config.fromfile(config)
    if epochs == cfg.train_cfg.max_epochs:
        return ()
    warm_up = max(1, epochs // 5)
    return (
        f'train_cfg.max_epochs={epochs}',
        f'param_scheduler.0.end={warm_up}',
        f'param_scheduler.1.begin={warm_up}',
    )
