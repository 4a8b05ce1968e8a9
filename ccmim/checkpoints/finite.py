"""Refuse NaN and infinite weights or features, which could give plausible scores."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def refuse_nonfinite(state: Mapping[str, Any], source: Any) -> None:
    """Refuse weights that are not finite.

    Args:
        state: Weights by name; what is no tensor is skipped.
        source: Where they are from, for the message.

    Raises:
        ValueError: If one holds NaN or infinity; the first is named.
    """
    if fault := _first_fault(state):
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
    fault = _first_fault(network.state_dict()) or 'all weights are, look at the images'
    raise ValueError(f'features are not finite: {fault}')


def _first_fault(state: Mapping[str, Any]) -> str | None:
    for name, value in state.items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            kind = 'NaN' if value.isnan().any() else 'an infinite value'
            return f'{name} holds {kind}'
    return None
