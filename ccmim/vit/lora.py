"""Adapters of low rank in the blocks of a Vision Transformer, by ``peft``."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

_PARTS = r'blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc[12])'
_BASE, _ADAPTER = '.base_layer.', '.lora_'


def add_lora(vit: nn.Module, rank: int) -> None:
    """Freeze a network and add adapters to its blocks (arXiv:2106.09685).

    Each linear layer W of attention and MLP becomes W + B A, with B zero, which is what
    the network was. The factor of the product is 1 (peft's ``lora_alpha`` is the rank),
    so that files need not say it. Weights by plain names can still be loaded.

    Args:
        vit: The Vision Transformer, changed in place.
        rank: Rows of A.

    Raises:
        ValueError: If peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ValueError(f'lora={rank} needs peft: pip install "ccmim[lora]"') from None
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=_PARTS)
    inject_adapter_in_model(config, vit)
    vit.register_state_dict_post_hook(_note)
    vit.register_load_state_dict_pre_hook(_rename_plain)


def plain_state(vit: nn.Module) -> dict[str, Tensor]:
    """Return a network's tensors by the names that they have without adapters."""
    own = vit.state_dict()
    return {k.replace(_BASE, '.'): v for k, v in own.items() if _ADAPTER not in k}


def merge_lora(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add adapters to the weights that they belong to.

    Args:
        state: Tensors by name, of ``add_lora``.

    Returns:
        Those of a network without adapters.
    """
    merged = {}
    for name, value in state.items():
        if name.endswith(f'{_BASE}weight'):
            layer = name.removesuffix(f'{_BASE}weight')
            down, up = (state[f'{layer}.lora_{one}.default.weight'] for one in 'AB')
            value = value + up @ down
        if _ADAPTER not in name:
            merged[name.replace(_BASE, '.')] = value
    return merged


def _note(
    vit: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]
) -> None:
    metadata['architecture'] = metadata.get('architecture', {}) | dict(lora=True)


def _rename_plain(vit: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, _ in vit.named_parameters():
        plain = prefix + name.replace(_BASE, '.')
        if _BASE in name and plain in state:
            state[prefix + name] = state.pop(plain)
