"""mmengine's schedulers for one part of a model, such as the backbone alone.

Groups of parameters say of which part they are: see ``parts`` of
``LayerDecayOptimWrapperConstructor``.
"""

from typing import Any

from mmengine.optim import ConstantLR, LinearLR, PolyLR

from ccmim.ranges import Positive
from ccmim.registry import PARAM_SCHEDULERS


class PartSchedulerMixin:
    """Schedule the groups of one part, and leave the others as they are.

    Args:
        optimizer: With groups of the part.
        *args: Of the scheduler of mmengine.
        part: A name in ``paramwise_cfg.parts``, or 'rest'.
        **kwargs: Of the scheduler of mmengine.

    Raises:
        ValueError: If no group belongs to the part.
    """

    def __init__(self, optimizer: Any, *args: Any, part: str, **kwargs: Any) -> None:
        self.part = part
        known = {group.get('part', 'rest') for group in optimizer.param_groups}
        if part not in known:
            raise ValueError(
                f'param_scheduler: part={part!r} is of no group of the optimizer: '
                f'there are {", ".join(sorted(known))}; set '
                'optim_wrapper.paramwise_cfg.parts'
            )
        super().__init__(optimizer, *args, **kwargs)

    def _get_value(self) -> list[float]:
        groups = self.optimizer.param_groups
        return [
            new if group.get('part', 'rest') == self.part else group[self.param_name]
            for group, new in zip(groups, super()._get_value(), strict=True)
        ]


@PARAM_SCHEDULERS.register_module()
class PartConstantLR(PartSchedulerMixin, ConstantLR):
    """mmengine's ``ConstantLR``, which gives the whole rate back one step later.

    mmengine's does it in its last step: before what follows begins at a low rate there
    would be one at the whole.

    Args:
        optimizer: See ``PartSchedulerMixin``.
        *args: Of mmengine's.
        end: The first step that is no longer scaled.
        **kwargs: Of mmengine's, and of ``PartSchedulerMixin``.
    """

    def __init__(
        self, optimizer: Any, *args: Any, end: Positive, **kwargs: Any
    ) -> None:
        super().__init__(optimizer, *args, end=end + 1, **kwargs)


@PARAM_SCHEDULERS.register_module()
class PartLinearLR(PartSchedulerMixin, LinearLR):
    """mmengine's ``LinearLR``; see ``PartSchedulerMixin``."""


@PARAM_SCHEDULERS.register_module()
class PartPolyLR(PartSchedulerMixin, PolyLR):
    """mmengine's ``PolyLR``; see ``PartSchedulerMixin``."""
