"""A model from its name, its config or the file of its weights."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from ccmim.api.catalogue import config_file
from ccmim.checkpoints import load_backbone, load_file, refuse_nonfinite
from ccmim.checkpoints.layouts import read_weights
from ccmim.engine.settings import check_arguments
from ccmim.vit import VisionTransformer

_WEIGHTS = ('.pth', '.pt', '.safetensors')


def get_model(
    model: str | Path | Config,
    pretrained: str | Path | None = None,
    device: str | torch.device | None = None,
    **kwargs: Any,
) -> nn.Module:
    """Build a model.

    Args:
        model: A name that ``list_models`` lists, the path of a config or a config
            itself; or a file of weights of any known layout, for the Vision
            Transformer in it.
        pretrained: File of weights: of the whole model where it holds it, else of its
            backbone; none for random weights.
        device: Where the model goes.
        kwargs: Changes of the model's config, such as ``mask_ratio=0.6``.

    Returns:
        The pretraining method, detector, segmentor, classifier or backbone.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If no model is called so, one has no such option, or the weights do
            not fit.
    """
    if isinstance(model, str | Path) and str(model).endswith(_WEIGHTS):
        if pretrained is not None:
            raise ValueError(f'{model} is a file of weights: leave out pretrained')
        network: nn.Module = _backbone(model, kwargs)
    else:
        network = _from_config(model, kwargs)
        if pretrained is not None:
            _load(network, pretrained)
    return network if device is None else network.to(device)


def _backbone(file: str | Path, changes: dict[str, Any]) -> VisionTransformer:
    weights = read_weights(file)
    network = VisionTransformer(**{**weights.architecture.options(), **changes})
    refuse_nonfinite(weights.state, file)
    network.load_state_dict(weights.state)
    return network


def _from_config(model: str | Path | Config, changes: dict[str, Any]) -> nn.Module:
    if isinstance(model, Config):
        cfg = Config(model._cfg_dict, filename=model.filename)
    else:
        cfg = Config.fromfile(config_file(str(model)))
    cfg.merge_from_dict(dict(model=deepcopy(changes)))  # which mmengine empties
    check_arguments(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'ccmim'):
        return MODELS.build(cfg.model)


def _load(network: nn.Module, file: str | Path) -> None:
    checkpoint = load_file(file)
    state = checkpoint.get('state_dict')
    if state is not None and state.keys() == network.state_dict().keys():
        refuse_nonfinite(state, file)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f'{file} is of a model of another size: {error}') from None
    else:
        load_backbone(getattr(network, 'backbone', network), file)
