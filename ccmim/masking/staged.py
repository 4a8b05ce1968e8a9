"""Another way of masking at the beginning of a run.

B batch, N patches.
"""

from mmengine.logging import MessageHub
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit
from ccmim.ranges import Count, Index, InnerRatio, Part, Sides
from ccmim.registry import MODELS, build_part


@MODELS.register_module()
class StagedSampler(nn.Module):
    """Use one sampler in the first epochs and another one from then on.

    AMT masks at random until its scores are worth something. Which stage it is depends
    on mmengine's epoch alone, so that a resumed run goes on as it would have.

    Args:
        first: Config of the sampler of the first epochs.
        then: Config of the sampler of the others.
        begin: Number of first epochs.
        first_ratio: Share of masked patches in the first epochs; afterwards it is the
            method's ``mask_ratio``.
        img_size: For the samplers: side or (height, width) of the images in pixels.
        patch_size: For the samplers: side of a patch in pixels.

    Raises:
        ValueError: If ``begin`` is not within the run.
    """

    def __init__(
        self,
        first: Part,
        then: Part,
        begin: Index,
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
        if self.begin >= hub.get_info('max_epochs', self.begin + 1):
            raise ValueError(
                f'begin={self.begin} of StagedSampler goes beyond the run: lower it '
                'below train_cfg.max_epochs, and train by epochs (EpochBasedTrainLoop)'
            )
        if hub.get_info('epoch', 0) < self.begin:
            return self.first(scores, self.first_ratio)
        return self.then(scores, mask_ratio)
