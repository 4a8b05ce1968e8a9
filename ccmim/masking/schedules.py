"""Samplers that change in the course of a run.

B batch, N patches, M masked.
"""

import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn

from ccmim.masking.samplers import rank_scores
from ccmim.masking.split import TokenSplit, count_visible, split_tokens, whole
from ccmim.ranges import Count, InnerRatio, Moment, Part, Ratio, Sides, in_epochs
from ccmim.registry import MODELS, build_part


@MODELS.register_module()
class SwitchSampler(nn.Module):
    """Use one sampler in the first epochs and another one from then on.

    AMT masks at random until its scores are worth something. Which stage it is depends
    on mmengine's epoch alone, so that a resumed run continues as it would have.

    Args:
        first: Config of the sampler of the first epochs.
        then: Config of the sampler of the others.
        begin: Number of first epochs, or their fraction of the run.
        first_ratio: Fraction of masked patches in the first epochs; afterwards it is
            the method's ``mask_ratio``.
        img_size: For the samplers: side or (height, width) of the images in pixels.
        patch_size: For the samplers: side of a patch in pixels.

    Raises:
        ValueError: If ``begin`` is not within the run.
    """

    def __init__(
        self,
        first: Part,
        then: Part,
        begin: Moment,
        first_ratio: InnerRatio = 0.75,
        img_size: Sides | None = None,
        patch_size: Count | None = None,
    ) -> None:
        super().__init__()
        sizes = dict(img_size=img_size, patch_size=patch_size)
        self.first = build_part(first, **sizes)
        self.then = build_part(then, **sizes)
        self.begin = begin
        self.first_ratio = first_ratio

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        hub = MessageHub.get_current_instance()
        epochs = hub.get_info('max_epochs')
        begin = self.begin if epochs is None else in_epochs(self.begin, epochs)
        if epochs is not None and begin >= epochs:
            raise ValueError(
                f'begin={self.begin} of SwitchSampler goes beyond the run: lower it '
                'below train_cfg.max_epochs, and train by epochs (EpochBasedTrainLoop)'
            )
        if hub.get_info('epoch', 0) < begin:
            return self.first(scores, self.first_ratio)
        return self.then(scores, mask_ratio)


@MODELS.register_module()
class EasyToHardSampler(nn.Module):
    """Mask a growing fraction of the highest scores, and the rest at random.

    HPM (https://arxiv.org/abs/2304.05919) with predicted errors as scores.
    The ratio moves linearly over the run; it depends on mmengine's iteration or epoch
    alone, so that a resumed run continues as it would have.

    Args:
        first: Fraction of the masked patches that are the highest, at the first step.
        last: The same at the last step.
        by_epoch: Whether the ratio is that of an epoch's end during the whole epoch, as
            published, instead of growing with each step.
    """

    def __init__(
        self, first: Ratio = 0.0, last: Ratio = 0.5, by_epoch: bool = False
    ) -> None:
        super().__init__()
        self.first = first
        self.last = last
        self.by_epoch = by_epoch

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        hub = MessageHub.get_current_instance()
        if self.by_epoch:
            done = (hub.get_info('epoch', 0) + 1) / hub.get_info('max_epochs', 1)
        else:
            done = hub.get_info('iter', 0) / hub.get_info('max_iters', 1)
        ratio = self.first + (self.last - self.first) * done
        num_patches = scores.shape[1]
        num_masked = num_patches - count_visible(num_patches, mask_ratio)
        noise = torch.rand(scores.shape, device=scores.device)
        rank = rank_scores(scores, noise)  # (B, N), N - 1 = highest
        is_hard = rank >= num_patches - whole(num_masked * ratio)
        order = noise.masked_fill(is_hard, torch.inf).argsort(dim=1)
        return split_tokens(order, mask_ratio)
