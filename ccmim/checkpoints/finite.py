"""Refuse weights and features that are no real numbers: scores would look plausible."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def fault_of_kind(value: Tensor) -> str | None:
    """Say why the numbers of a weight cannot be looked at; None if they can."""
    if value.layout != torch.strided or value.is_quantized or value.is_nested:
        return 'is sparse or quantized: dense weights are read'
    if value.is_meta:
        return 'has a shape and no values (a meta tensor)'
    return None


def refuse_nonfinite(state: Mapping[str, Any], source: Any) -> None:
    """Refuse weights that are not finite, not real or not dense.

    Args:
        state: Weights by name; what is no tensor is skipped.
        source: Where they are from, for the message.

    Raises:
        ValueError: If there is one; the first is named.
    """
    if fault := first_fault(state):
        raise ValueError(f'{source}: {fault}. Use an earlier checkpoint of that run')


def check_features(features: Tensor, network: nn.Module) -> None:
    """Refuse features that are not finite, and say which weight is to blame.

    Args:
        features: Of any shape, computed by the network.
        network: Is searched only if they are bad.

    Raises:
        ValueError: If one is NaN or infinite.
    """
    if features.isfinite().all():
        return
    fault = first_fault(network.state_dict()) or 'all weights are, look at the images'
    raise ValueError(f'features are not finite: {fault}')


def first_fault(state: Mapping[str, Any]) -> str | None:
    """Describe the first tensor that ``refuse_nonfinite`` refuses; None if none is."""
    for name, value in state.items():
        if not isinstance(value, Tensor):
            continue
        if fault := fault_of_kind(value):
            return f'{name} {fault}'
        if value.is_complex():  # copying keeps the real part alone
            return f'{name} holds complex numbers: weights are real'
        if value.is_floating_point() and value.itemsize < 2:
            return f'{name} is of {value.dtype}: quantized weights are not read'
        if not value.isfinite().all():
            kind = 'NaN' if value.isnan().any() else 'an infinite value'
            return f'{name} holds {kind}'
    return None
