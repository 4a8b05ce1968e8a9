"""Several masks per scoring pass.

B batch, N patches.
"""

from torch import Tensor, nn


def mean_over_masks(
    method: nn.Module, images: Tensor, num_masks: int
) -> dict[str, Tensor]:
    """Score images once, draw several masks from these scores, and average the losses.

    As data2vec 2.0 spares its teacher's work (https://arxiv.org/abs/2212.07525). Each
    mask is a pass of its own with the images of the step as negatives, so that no image
    is contrasted with itself; what it keeps for the backward pass adds up.

    Args:
        method: What has a ``scorer`` and a ``backbone``, and calls the one with the
            other in its ``loss``.
        images: Normalized images of shape (B, 3, H, W).
        num_masks: How many masks.

    Returns:
        Means of what the method's ``loss`` gives.
    """
    scorer = method.scorer
    method.scorer = _Known(scorer(method.backbone, images))
    try:
        passes = [method.loss(images) for _ in range(num_masks)]
    finally:
        method.scorer = scorer
    return {name: sum(one[name] for one in passes) / num_masks for name in passes[0]}


class _Known(nn.Module):
    """A scorer whose answer (B, N) is known."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        return self.scores
