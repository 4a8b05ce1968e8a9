"""Momentum encoders that provide targets.

B batch, N patches, C channels of the projection.
"""

import copy
import math

import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ccmim.ranges import Count, PositiveRatio, Ratio, checked, in_epochs


@checked
class EMATeacher(nn.Module):
    """An exponential moving average (EMA) of backbone and projector.

    teacher = m * teacher + (1 - m) * student, where m goes from ``momentum`` to
    ``last_momentum`` as a half cosine over the run, or linearly over its first epochs.
    It depends on mmengine's iteration alone, and the copy is part of the checkpoint, so
    that a resumed run continues as it would have. In training it keeps batch statistics
    of its own.

    Args:
        backbone: The Vision Transformer to follow.
        projector: What maps its tokens (n, D) to (n, C).
        momentum: m at the first step, in [0, 1].
        last_momentum: m at the last step, in [0, 1].
        interval: Iterations between two updates: as many as gradients are accumulated.
        rise_epochs: Epochs, or a fraction of the run, in which m goes, in equal steps
            from one to the next (HPM); a half cosine over the run when None.
    """

    def __init__(
        self,
        backbone: nn.Module,
        projector: nn.Module,
        momentum: Ratio = 0.996,
        last_momentum: Ratio = 1.0,
        interval: Count = 1,
        rise_epochs: Count | PositiveRatio | None = None,
    ) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.projector = copy.deepcopy(projector).requires_grad_(False)
        self.momentum = momentum
        self.last_momentum = last_momentum
        self.interval = interval
        self.rise_epochs = rise_epochs
        # Whatever filled the student since, the first step begins from that.
        self.started = False
        self.register_load_state_dict_pre_hook(started_if_loaded)

    def start(self, backbone: nn.Module, projector: nn.Module) -> None:
        """Take over the weights of the student as they are."""
        for ours, theirs in ((self.backbone, backbone), (self.projector, projector)):
            # As they are, also where each process holds a part of them.
            for own, value in zip(
                ours.state_dict().values(), theirs.state_dict().values(), strict=True
            ):
                own.copy_(value)
        self.started = True

    def update(self, backbone: nn.Module, projector: nn.Module) -> None:
        """Move towards the student, after each of its updates; in training only.

        To be called at the beginning of an iteration. At the first, unless a checkpoint
        held the copy too, it takes over the weights, however they were loaded.
        """
        hub = MessageHub.get_current_instance()
        iteration, last = hub.get_info('iter', 0), hub.get_info('max_iters', 1)
        if self.training and not self.started:
            self.start(backbone, projector)
        if not self.training or iteration % self.interval:
            return
        done = max(iteration - 1, 0) / last  # it follows the step before
        if self.rise_epochs is None:
            to_go = (math.cos(math.pi * done) + 1) / 2
        else:
            epochs = hub.get_info('max_epochs', 1)
            epoch = math.floor(done * epochs + 1e-6)
            rise = max(1, in_epochs(self.rise_epochs, epochs))
            to_go = max(0.0, 1 - epoch / rise)
        way = self.last_momentum - self.momentum
        momentum = self.last_momentum - way * to_go
        teacher = [*self.backbone.parameters(), *self.projector.parameters()]
        student = [*backbone.parameters(), *projector.parameters()]
        get_ema_multi_avg_fn(momentum)(teacher, student, None)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Compute keys (B, N, C) of full images (B, 3, H, W), without gradient."""
        tokens = self.backbone.encode(self.backbone.embed(images))
        return self.projector(tokens)[:, 1:]


def started_if_loaded(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Let a copy keep the weights that a checkpoint held: a hook for loading."""
    module.started |= any(name.startswith(prefix) for name in state)
