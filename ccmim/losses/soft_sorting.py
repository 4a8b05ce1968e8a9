"""Differentiable sorting: a sorting network whose comparators swap by degrees.

Petersen et al., https://arxiv.org/abs/2203.09630 (monotonic, with Cauchy's
distribution). R rows, n values in each.
"""

import math
from typing import Literal

import torch
from torch import Tensor

SortingNetwork = Literal['bitonic', 'odd_even']


def comparators(count: int, network: SortingNetwork = 'bitonic') -> tuple[Tensor, ...]:
    """List what is compared, layer by layer, so that values end in rising order.

    A bitonic network is for powers of two; of fewer wires the first are left out, with
    all that is compared with them, as in the package diffsort.

    Args:
        count: Values n.
        network: 'bitonic', log2(n) (log2(n) + 1) / 2 layers; or 'odd_even', n layers,
            which compares neighbors and sorts any number.

    Returns:
        Of each layer the wire that each is compared with, itself for none, (L, n); and
        1 where a wire takes the smaller value, else -1, (L, n), float32.
    """
    layers = []
    if network == 'odd_even':
        for layer in range(count):
            pairs = range(layer % 2, count - 1, 2)
            layers.append([(i, i + 1) for i in pairs])
    else:
        blocks = (count - 1).bit_length()
        missing = 2**blocks - count
        for block in range(blocks):
            for step in (2**k for k in range(block, -1, -1)):
                firsts = [i for i in range(missing, 2**blocks) if not i & step]
                pairs = [(i - missing, i - missing + step) for i in firsts]
                rises = [not i >> (block + 1) & 1 for i in firsts]
                ordered = zip(pairs, rises, strict=True)
                layers.append([p if up else p[::-1] for p, up in ordered])
    partners = torch.arange(count).repeat(len(layers), 1)
    signs = torch.ones(len(layers), count)
    for layer, pairs in enumerate(layers):
        for low, high in pairs:
            partners[layer, low], partners[layer, high] = high, low
            signs[layer, high] = -1
    return partners, signs


def soft_permutation(
    values: Tensor, partners: Tensor, signs: Tensor, steepness: float
) -> Tensor:
    """Compute where each value goes when they are sorted, by degrees.

    Two values a and b keep their places by 1/2 + atan(steepness (b - a)) / pi, and swap
    by the rest; what was swapped by half is a mixture from then on.

    Args:
        values: Of shape (R, n).
        partners: From ``comparators``, (L, n).
        signs: Likewise.
        steepness: The larger, the harder.

    Returns:
        The share of value i at place j, in rising order: (R, n, n), whose rows and
        columns sum to 1.
    """
    matrix = torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
    matrix = matrix.expand(len(values), -1, -1)
    for partner, sign in zip(partners, signs.to(values), strict=True):
        others = values[:, partner]
        keep = torch.atan(steepness * sign * (others - values)) / math.pi + 0.5
        values = torch.lerp(others, values, keep)
        matrix = torch.lerp(matrix[:, :, partner], matrix, keep[:, None])
    return matrix
