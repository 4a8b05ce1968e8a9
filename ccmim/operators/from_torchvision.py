"""The module ``mmcv._ext`` with torchvision's operators; see `ccmim.operators`.

mmcv calls these functions by the names and with the arguments of its C++ sources. Both
libraries took NMS and RoIAlign from the same code, so they differ in rounding alone.
"""

import struct
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
import torchvision
from torch import Tensor

from ccmim.operators import BUILD, VARIABLE, InstallError
from ccmim.operators.align import shares_of, spread

_AVERAGE = 1
_OPS = torch.ops.torchvision


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: Corners x1, y1, x2, y2. Shape: (N, 4).
        scores: Shape: (N,).
        iou_threshold: Boxes that overlap a better one by more are dropped.
        offset: 1 if x2 and y2 are the last pixels inside of a box, 0 if its edges.

    Returns:
        Ids of the boxes that are kept, the best first; of equal scores, the first.
    """
    # The kernel takes one dtype, and none of half precision.
    dtypes = boxes.dtype, scores.dtype, torch.float32
    dtype = reduce(torch.promote_types, dtypes)
    boxes, scores = boxes.to(dtype), scores.to(dtype)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    # mmcv compares in float32: an overlap of exactly the threshold stays in both.
    (threshold,) = struct.unpack('f', struct.pack('f', iou_threshold))
    return _OPS.nms(boxes, scores, threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write what every bin of every RoI averages of its image into ``output``.

    Args:
        input: Maps. Shape: (B, C, H, W).
        rois: Image and corners. Shape: (K, 5).
        output: Shape: (K, C, aligned_height, aligned_width).
        argmax_y: Of no use for averages.
        argmax_x: Of no use for averages.
        aligned_height: Bins of a RoI in a column.
        aligned_width: Bins of a RoI in a row.
        spatial_scale: Of the corners to those on the map.
        sampling_ratio: Samples along each side of a bin; 0 for one in every pixel.
        pool_mode: 1 for the average.
        aligned: Whether the centers of pixels lie at one half.

    Raises:
        InstallError: If the maximum is asked for.
    """
    if pool_mode != _AVERAGE:
        raise _missing("roi_align with pool_mode='max'")
    size = aligned_height, aligned_width
    output.copy_(
        _OPS.roi_align(input, rois, spatial_scale, *size, sampling_ratio, aligned)
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the gradient of the maps into ``grad_input``.

    Args:
        grad_output: Shape: (K, C, aligned_height, aligned_width).
        rois: As in `roi_align_forward`, like all that is not named here.
        argmax_y: Of no use for averages.
        argmax_x: Of no use for averages.
        grad_input: Shape: (B, C, H, W).
        aligned_height: Bins of a RoI in a column.
        aligned_width: Bins of a RoI in a row.
        spatial_scale: Of the corners to those on the map.
        sampling_ratio: Samples along each side of a bin.
        pool_mode: 1 for the average; the forward pass lets no other through.
        aligned: Whether the centers of pixels lie at one half.
    """
    if not grad_output.is_cuda and len(rois):
        images, channels, *sides = grad_input.shape
        bins = aligned_height, aligned_width
        shares = shares_of(rois, sides, bins, spatial_scale, sampling_ratio, aligned)
        rows = grad_output.permute(0, 2, 3, 1).reshape(-1, channels)
        summed = spread(rows, shares, images * sides[0] * sides[1])
        grad_input.copy_(summed.view(images, *sides, channels).permute(0, 3, 1, 2))
        return
    size = aligned_height, aligned_width, *grad_input.shape
    grad_input.copy_(
        _OPS._roi_align_backward(
            grad_output, rois, spatial_scale, *size, sampling_ratio, aligned
        )
    )


def get_compiler_version() -> str:
    """What mmcv's report of the environment says of its compiler."""
    return f'none, operators of torchvision {torchvision.__version__}'


def get_compiling_cuda_version() -> str:
    """The CUDA release that torchvision's operators were built for."""
    return torch.version.cuda or 'not available'


def _missing(operator: str) -> InstallError:
    return InstallError(
        f"mmcv's operator {operator} is not in torchvision: build mmcv's own by "
        f'{BUILD}, and leave {VARIABLE} unset'
    )


def __getattr__(name: str) -> Callable[..., Any]:
    # mmcv asks for all its operators when it is imported, and uses few.
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args: Any, **kwargs: Any) -> None:
        raise _missing(name)

    return missing
