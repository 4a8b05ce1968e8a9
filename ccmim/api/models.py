"""Build a model from its name, its config or a file of weights."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from ccmim.api.catalogue import config_file
from ccmim.checkpoints import (
    build_backbone,
    is_weights,
    load_backbone,
    load_file,
    refuse_nonfinite,
)
from ccmim.engine.settings import check_arguments, fit_sizes
from ccmim.files import one_line


def get_model(
    model: str | Path | Config,
    pretrained: str | Path | None = None,
    device: str | torch.device | None = None,
    **kwargs: Any,
) -> nn.Module:
    """Build a model.

    Args:
        model: A name that ``list_models`` lists, the path of a config or a config
            itself; or weights of any known layout, for the Vision Transformer in them:
            a file, a folder, ``timm:NAME`` or ``hf:OWNER/NAME``.
        pretrained: Weights: of the whole model where a file holds it, else of its
            backbone; none for random weights.
        device: Where the model goes.
        kwargs: Changes of the model's config, such as ``mask_ratio=0.6``; of weights
            arguments of ``build_backbone``: ``num_heads``, ``img_size``, ``part`` ...

    Returns:
        The pretraining method, detector, segmentor, classifier or backbone.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If no model is called so, one has no such option, or the weights do
            not fit.
    """
    if isinstance(model, str | Path) and is_weights(model):
        if pretrained is not None:
            raise ValueError(f'{model} is a file of weights: leave out pretrained')
        network: nn.Module = build_backbone(model, **kwargs)
    else:
        network = _from_config(model, kwargs)
        if pretrained is not None:
            _load(network, pretrained)
    return network if device is None else network.to(device)


def _from_config(model: str | Path | Config, changes: dict[str, Any]) -> nn.Module:
    if isinstance(model, Config):
        cfg = Config(model._cfg_dict, filename=model.filename)
    else:
        cfg = Config.fromfile(config_file(str(model)))
    cfg.merge_from_dict(dict(model=deepcopy(changes)))  # which mmengine empties
    fit_sizes(cfg)
    check_arguments(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'ccmim'):
        return MODELS.build(cfg.model)


def _load(network: nn.Module, file: str | Path) -> None:
    path = Path(file).expanduser()
    content = load_file(path) if path.is_file() else {}
    state = content.get('state_dict')
    if state is not None and state.keys() == network.state_dict().keys():
        refuse_nonfinite(state, file)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            text = one_line('; '.join(str(error).split('\n\t')[1:3]))
            raise ValueError(f'{file} is of a model of another size: {text}') from None
    else:
        load_backbone(getattr(network, 'backbone', network), file)
