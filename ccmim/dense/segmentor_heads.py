"""mmseg heads with a faster loss on CPUs.

Imports mmseg, so the package does not import it: segmentation configs name it in
``custom_imports``.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads import FCNHead as MMSegFCNHead
from mmseg.models.decode_heads import UPerHead as MMSegUPerHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.losses.cross_entropy_loss import cross_entropy
from torch import Tensor

from ccmim.dense.pixel_loss import enlarged_cross_entropy
from ccmim.registry import MODELS


class EnlargedLoss(BaseDecodeHead):
    """A decode head that compares enlarged logits with labels some rows at a time.

    On CPUs and for the plain cross entropy; other losses, weights of classes, samplers
    and devices take mmseg's way.
    """

    def loss_by_feat(
        self, seg_logits: Tensor, batch_data_samples: list[Any]
    ) -> dict[str, Tensor]:
        """Compute the loss and the top-1 accuracy.

        Args:
            seg_logits: Of shape (B, classes, h, w).
            batch_data_samples: Samples with the labels of the pixels (1, H, W).

        Returns:
            The loss by its name, and ``acc_seg`` in per cent.
        """
        labels, loss = self._stack_batch_gt(batch_data_samples), self.loss_decode
        if not (
            type(loss) is CrossEntropyLoss
            and loss.cls_criterion is cross_entropy
            and loss.reduction == 'mean'
            and loss.class_weight is None
            and self.sampler is None
            and seg_logits.device.type == 'cpu'
        ):
            return super().loss_by_feat(seg_logits, batch_data_samples)
        labels = labels.squeeze(1)
        total, right = enlarged_cross_entropy(
            seg_logits, labels, self.align_corners, self.ignore_index
        )
        counted = (labels != self.ignore_index).sum()
        pixels = counted if loss.avg_non_ignore else labels.numel()
        least = torch.finfo(torch.float32).eps  # as mmseg
        return {
            loss.loss_name: loss.loss_weight * total / (pixels + least),
            'acc_seg': 100 * (right + least) / (counted + least),
        }


def _channels_last(x: Tensor) -> Tensor:
    on_cpu = x.device.type == 'cpu'
    return x.contiguous(memory_format=torch.channels_last) if on_cpu else x


@MODELS.register_module()
class UPerHead(EnlargedLoss, MMSegUPerHead):
    """mmseg's ``UPerHead`` with the loss of ``EnlargedLoss``.

    On CPUs maps are enlarged with channels last, which is seven times as fast.
    """

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        maps = self._transform_inputs(inputs)
        tops = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=False)]
        tops.append(self.psp_forward(maps))
        for i in reversed(range(len(tops) - 1)):
            tops[i] = tops[i] + self._enlarge(tops[i + 1], tops[i])
        outs = [conv(x) for conv, x in zip(self.fpn_convs, tops, strict=False)]
        rest = [self._enlarge(x, outs[0]) for x in (*outs[1:], tops[-1])]
        return self.fpn_bottleneck(torch.cat([outs[0], *rest], dim=1))

    def _enlarge(self, x: Tensor, like: Tensor) -> Tensor:
        how = dict(mode='bilinear', align_corners=self.align_corners)
        y = F.interpolate(_channels_last(x), like.shape[2:], **how)
        if y.requires_grad:  # slices of what is concatenated are not contiguous
            y.register_hook(_channels_last)
        return y


@MODELS.register_module()
class FCNHead(EnlargedLoss, MMSegFCNHead):
    """mmseg's ``FCNHead`` with the loss of ``EnlargedLoss``."""
