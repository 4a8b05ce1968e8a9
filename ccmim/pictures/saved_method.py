"""Load networks from checkpoints for visualization."""

from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from torch import nn

from ccmim.checkpoints import build_backbone, load_file, refuse_nonfinite
from ccmim.registry import MODELS
from ccmim.vit import VisionTransformer


def load_method(cfg: Config, file: str | Path) -> nn.Module:
    """Build the method of a config and fill all of it from a checkpoint.

    What a sampler makes of the epoch or the step, it will make of those of the
    checkpoint.

    Args:
        cfg: A pretraining config.
        file: Checkpoint of a run of it.

    Returns:
        The method, in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, does not hold all of the method, or the config is
            of another kind.
    """
    if cfg.get('default_scope', 'ccmim') != 'ccmim':
        raise ValueError(f'{cfg.filename} is no pretraining config')
    with DefaultScope.overwrite_default_scope('ccmim'):
        method = MODELS.build(cfg.model)
    content = load_file(file)
    fill(method, content.get('state_dict', content), file)
    hub = MessageHub.get_current_instance()
    info = content.get('message_hub', {}).get('runtime_info', {})
    for key in ('epoch', 'max_epochs', 'iter', 'max_iters'):
        if key in info:
            hub.update_info(key, info[key])
    return method.eval()


def fill(model: nn.Module, state: dict, file: str | Path) -> None:
    """Load parameters strictly.

    Args:
        model: What to fill.
        state: Parameters by name.
        file: Where they are from.

    Raises:
        ValueError: In one line, if a parameter is missing, superfluous, of another
            shape or not finite.
    """
    refuse_nonfinite(state, file)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).partition('\n')[2].strip().split('\n')[0]
        raise ValueError(
            f'{file} is no checkpoint of this {type(model).__name__}: '
            f'{first[:200]} Give the config of its run'
        ) from None


def load_vit(file: str | Path) -> VisionTransformer:
    """Build the backbone that a file of any known layout holds.

    Args:
        file: Checkpoint of a run, or a backbone of another project.

    Returns:
        The Vision Transformer, in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or of no known layout.
    """
    return build_backbone(file).eval()
