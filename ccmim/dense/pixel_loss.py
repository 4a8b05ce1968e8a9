"""Cross entropy of enlarged logits, without the enlarged logits.

B batch, C classes, h w map of logits, H W labels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_CHUNK = 2**18  # logits at a time: they stay in cache while the loss is formed


def enlarged_cross_entropy(
    logits: Tensor, labels: Tensor, align_corners: bool = False, ignore_index: int = 255
) -> tuple[Tensor, Tensor]:
    """Enlarge logits to the labels and compare the two, some rows at a time.

    The same as bilinear ``F.interpolate`` and ``F.cross_entropy`` up to rounding, in
    float32 or wider. The interpolation is two small matrix products, and the gradient
    is formed beside the loss, at the size of the logits. Once differentiable.

    Args:
        logits: Of shape (B, C, h, w).
        labels: Classes of shape (B, H, W).
        align_corners: Of the interpolation.
        ignore_index: Label of pixels that do not count.

    Returns:
        The sum of the losses of all pixels that count, and the number of those whose
        highest logit is that of their class.
    """
    return _EnlargedCrossEntropy.apply(logits, labels, align_corners, ignore_index)


class _EnlargedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        logits: Tensor,
        labels: Tensor,
        align_corners: bool,
        ignore_index: int,
    ) -> tuple[Tensor, Tensor]:
        maps = logits.to(torch.promote_types(logits.dtype, torch.float32))
        down, across = (
            _interpolation(maps, *sizes, align_corners)
            for sizes in zip(maps.shape[2:], labels.shape[1:], strict=True)
        )
        sums, gradients = maps.new_zeros(2), []
        with torch.autocast(maps.device.type, enabled=False):
            for image, label in zip(maps, labels, strict=True):
                counts = label != ignore_index
                label = label.where(counts, 0)
                gradients.append(_add_image(sums, image, label, counts, down, across))
        ctx.save_for_backward(torch.stack(gradients))
        ctx.dtype = logits.dtype
        loss, correct = sums
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, factor: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return (gradient * factor).to(ctx.dtype), None, None, None


def _interpolation(maps: Tensor, size: int, wanted: int, align_corners: bool) -> Tensor:
    """Parts of the values of an axis in each value of the enlarged one."""
    each = torch.eye(size, dtype=maps.dtype, device=maps.device).unsqueeze(0)
    mode = dict(mode='linear', align_corners=align_corners)
    return F.interpolate(each, wanted, **mode)[0].T  # (wanted, size)


def _add_image(
    sums: Tensor,
    logits: Tensor,
    labels: Tensor,
    counts: Tensor,
    down: Tensor,
    across: Tensor,
) -> Tensor:
    """Add what one image gives to the loss and the right pixels.

    Args:
        sums: These two.
        logits: Of shape (C, h, w).
        labels: Of shape (H, W).
        counts: Which pixels count, of shape (H, W).
        down: Parts of the rows, of shape (H, h).
        across: Parts of the columns, of shape (W, w).

    Returns:
        The gradient of the loss, of shape (C, h, w).
    """
    classes, height, _ = logits.shape
    wide = (logits.transpose(0, 1) @ across.T).flatten(1)  # (h, C * W)
    gradient = torch.zeros_like(wide)
    step = max(1, _CHUNK // wide.shape[1])
    for parts, label, count in zip(
        down.split(step), labels.split(step), counts.split(step), strict=True
    ):
        used = parts.any(dim=0).nonzero()
        rows = slice(int(used[0]), int(used[-1]) + 1)
        x = (parts[:, rows] @ wide[rows]).view(len(parts), classes, -1)  # (r, C, W)
        label, count = label.unsqueeze(1), count.unsqueeze(1)
        x -= x.amax(dim=1, keepdim=True)
        own = x.gather(1, label)
        total = x.exp_().sum(dim=1, keepdim=True)
        losses, right = (total.log() - own) * count, (own == 0) & count
        sums += torch.stack([losses.sum(), right.sum()])
        count = count.to(x.dtype)
        x *= count / total
        x.scatter_add_(1, label, -count)
        gradient[rows].addmm_(parts[:, rows].T, x.flatten(1))
    return (gradient.view(height, classes, -1) @ across).transpose(0, 1)
