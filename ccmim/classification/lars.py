"""LARS, as used for linear probes."""

from collections.abc import Iterable
from typing import Annotated, Any

from timm.optim import Lars
from torch import Tensor

from ccmim.ranges import ArgsOf
from ccmim.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class LARS(Lars):
    """timm's LARS, with the rule of MoCo v3 and MAE for which parameters are adapted.

    Weights get steps in proportion to their norm, without weight decay too, where
    timm's would be plain SGD; 1-D parameters (biases) are updated by plain SGD, without
    weight decay.

    Args:
        params: Parameters or groups of them.
        kwargs: Arguments of ``timm.optim.Lars``.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        **kwargs: Annotated[Any, ArgsOf(Lars)],
    ) -> None:
        params = list(params)
        groups = [g if isinstance(g, dict) else dict(params=[g]) for g in params]
        parts = []
        for group in groups:
            members = list(group['params'])
            flat = [p for p in members if p.ndim <= 1]
            full = [p for p in members if p.ndim > 1]
            if full:
                parts.append({**group, 'params': full, 'always_adapt': True})
            if flat:  # timm would decay and adapt them where weight_decay is set
                plain = dict(always_adapt=False, weight_decay=0.0)
                parts.append({**group, 'params': flat, **plain})
        super().__init__(parts, **kwargs)
